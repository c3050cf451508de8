"""Where a replica runs: the Ray resources of a pool, from its settings."""

from __future__ import annotations

import math
from typing import Any

from boute.deployments.engines.settings import EngineSettings

__all__ = ["placement"]

# Ray's way to say "on a node of this type" without taking anything of it.
_A_TRACE = 0.001


def placement(settings: EngineSettings) -> dict[str, Any]:
    """Options of the pool's Serve deployment that decide where its replicas run.

    Within a node vLLM starts its own workers, so one bundle holds all GPUs of a replica. With its
    Ray executor (`distributed_executor_backend: ray`), which pipeline stages across nodes need,
    every GPU is a bundle of its own behind one for the replica. Endpoints and simulations take no
    device.
    """
    if not settings.served_by.on_devices:
        return {"ray_actor_options": {"num_cpus": 0}}
    if settings.device == "cpu":
        cores = settings.cores * settings.tensor_parallel * settings.pipeline_parallel
        return {"ray_actor_options": {"num_cpus": cores if cores < 1 else math.ceil(cores)}}
    gpus = settings.tensor_parallel * settings.pipeline_parallel
    kind = _accelerator(settings)
    if settings.served_by.args.get("distributed_executor_backend") == "ray":
        # A GPU each, and what is left where the others are: TP groups stay within a node.
        return {
            "ray_actor_options": {"num_cpus": 1},
            "placement_group_bundles": [{"CPU": 1}, *({"GPU": 1, **kind} for _ in range(gpus))],
            "placement_group_strategy": "PACK",
        }
    return {
        "ray_actor_options": {"num_cpus": 1, "num_gpus": gpus, "resources": kind},
        "placement_group_bundles": [{"CPU": 1, "GPU": gpus, **kind}],
        "placement_group_strategy": "STRICT_PACK",
    }


def _accelerator(settings: EngineSettings) -> dict[str, float]:
    kind = settings.accelerator_type
    return {} if kind is None else {f"accelerator_type:{kind}": _A_TRACE}
