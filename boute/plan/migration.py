"""From the fleet that runs to another one: which replicas start, and how many GPUs change hands.

Replicas stand in for each other when they run the same model in the same number formats on the same
GPU type with the same parallelism. How many of a kind run is all that counts here: names of pools,
weights and thresholds are settings of the ingress, and change without a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from boute.plan.model import Plan, Pool
from boute.spec.model import RunningPool

__all__ = ["Fleet", "Kind", "fleet_of", "kind_of", "moved_gpus", "running_fleet", "running_pools"]


class Kind(NamedTuple):
    """What tells replicas apart that do not stand in for each other."""

    model: str
    weights: str
    kv_cache: str
    gpu: str
    tensor_parallel: int
    pipeline_parallel: int

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor_parallel * self.pipeline_parallel


Fleet = Mapping[Kind, int]
"""Replicas of each kind."""


def kind_of(pool: Pool, weights: str, kv_cache: str) -> Kind:
    """The kind of a pool's replicas, given the formats in which its model is served."""
    shape = (pool.tensor_parallel, pool.pipeline_parallel)
    return Kind(pool.model, weights, kv_cache, pool.gpu, *shape)


def running_fleet(running: Iterable[RunningPool]) -> Counter[Kind]:
    """The fleet of a spec's `current`."""
    found: Counter[Kind] = Counter()
    for pool in running:
        kind = Kind(**pool.model_dump(exclude={"replicas"}))
        found[kind] += pool.replicas
    return found


def running_pools(plan: Plan) -> list[RunningPool]:
    """A plan as a spec's `current` has it."""
    served = {model.name: model for model in plan.models}
    return [
        RunningPool(
            model=pool.model,
            gpu=pool.gpu,
            tensor_parallel=pool.tensor_parallel,
            pipeline_parallel=pool.pipeline_parallel,
            replicas=pool.replicas,
            weights=served[pool.model].weights,
            kv_cache=served[pool.model].kv_cache,
        )
        for pool in plan.pools
    ]


def fleet_of(plan: Plan) -> Counter[Kind]:
    """The fleet that a plan asks for."""
    return running_fleet(running_pools(plan))


def moved_gpus(before: Fleet, after: Fleet) -> int:
    """GPUs of the replicas that stop and of those that start.

    A GPU that goes from one model to another counts twice, as it is given up and taken. It is a
    distance: the same both ways, 0 for the same fleet only, and no longer by way of a third.
    """
    kinds = before.keys() | after.keys()
    return sum(abs(after.get(kind, 0) - before.get(kind, 0)) * kind.gpus for kind in kinds)
