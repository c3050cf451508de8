"""The pace of a simulated engine, from the performance model."""

from __future__ import annotations

from pathlib import Path

from boute.deployments.engines.settings import Pace
from boute.errors import PlanError
from boute.performance.build import build_replica
from boute.performance.measured import load_measured
from boute.plan.model import Plan, Pool
from boute.profiles.catalog import load_model
from boute.spec.load import gpu_card, resolve

__all__ = ["pace_of"]


def pace_of(plan: Plan, pool: Pool, folder: Path) -> Pace:
    """How fast a replica of `pool` is; `folder` is the plan's. Raise PlanError or ProfileError."""
    choice = next(choice for choice in plan.spec.models if choice.name == pool.model)
    replica = build_replica(
        load_model(choice.card or choice.name, folder),
        gpu_card(pool.gpu, plan.spec.gpus[pool.gpu], folder),
        choice,
        plan.spec.engine,
        tensor_parallel=pool.tensor_parallel,
        pipeline_parallel=pool.pipeline_parallel,
        max_model_len=plan.max_model_len,
        measured=[
            entry
            for name in plan.spec.measured
            for entry in load_measured(resolve(name, folder)).entries
        ],
    )
    if isinstance(replica, str):
        raise PlanError(f"pool {pool.name} {replica}", where="pools", mend="optimize again")
    return Pace(
        costs=replica.costs.tolist(),
        stages=replica.stages,
        kv_blocks=replica.kv_blocks,
        block_size=replica.block_size,
        max_num_seqs=replica.max_num_seqs,
        max_num_batched_tokens=replica.max_num_batched_tokens,
        async_scheduling=replica.async_scheduling,
    )
