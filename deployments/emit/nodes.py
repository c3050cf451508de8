"""The machines that a plan asks for: pods of a GPU type and a number of GPUs, and how many.

A pod holds one replica, or one pipeline stage of a replica that spans nodes, so no GPU of a pod is
left over. Pods of each shape are a Ray resource of that name, which the pools for them ask for:
else a small replica could take the pod that a large one waits for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from boute.deployments.emit.bundle import Bundle
from boute.errors import PlanError
from boute.plan.model import Pool
from boute.profiles.gpu import GpuCard
from boute.spec.family import ServedBy

__all__ = ["Pods", "pods_of"]


@dataclass(frozen=True)
class Pods:
    """`count` pods with `gpus` GPUs each, `most` of them with autoscaling.

    `pools` are those whose replicas they are for. For a `cpu` card, `gpus` counts cores.
    """

    gpu: str
    card: GpuCard
    gpus: int
    count: int
    most: int
    pools: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the worker group and the resource: lower case letters, digits and dashes."""
        return f"{re.sub(r'[^a-z0-9]+', '-', self.gpu.lower()).strip('-')}-x{self.gpus}"


def pods_of(bundle: Bundle) -> list[Pods]:
    """Pods for the plan's pools, those of one shape together; raise PlanError.

    Pools whose engines have no device (endpoints, simulations) need none.
    """
    found: dict[tuple[str, int], Pods] = {}
    for pool in bundle.plan.pools:
        served_by = bundle.settings[pool.name].served_by
        if not served_by.on_devices:
            continue
        card = bundle.cards[pool.gpu]
        gpus, pods = _shape(pool, card, served_by)
        scaling = bundle.options.autoscaling.get(pool.name)
        most = pool.replicas if scaling is None else max(pool.replicas, scaling.max_replicas)
        before = found.get((pool.gpu, gpus), Pods(pool.gpu, card, gpus, 0, 0, ()))
        found[pool.gpu, gpus] = replace(
            before,
            count=before.count + pool.replicas * pods,
            most=before.most + most * pods,
            pools=(*before.pools, pool.name),
        )
    return list(found.values())


def _shape(pool: Pool, card: GpuCard, served_by: ServedBy) -> tuple[int, int]:
    """GPUs of one pod and pods of one replica."""
    if card.vendor == "cpu" or pool.gpus_per_replica <= card.node_gpus:
        return pool.gpus_per_replica, 1
    if pool.tensor_parallel > card.node_gpus:
        mend = f"set gpus.{pool.gpu}.node_gpus if its nodes are larger, and optimize again"
    elif served_by.args.get("distributed_executor_backend") != "ray":
        mend = f"set served_by.args.distributed_executor_backend of {pool.model} to ray"
    else:
        return pool.tensor_parallel, pool.pipeline_parallel
    raise PlanError(
        f"a replica of pool {pool.name} takes {pool.gpus_per_replica} GPUs, and a node of "
        f"{pool.gpu} has {card.node_gpus}",
        where="pools",
        mend=mend,
    )
