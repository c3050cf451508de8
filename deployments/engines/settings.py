"""What a replica has to know to bring up its engine, as plain data that travels to its node."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from boute.documents import Document
from boute.errors import PlanError
from boute.plan.model import Plan, Pool
from boute.spec.family import ServedBy
from boute.spec.load import gpu_card, resolve
from boute.spec.model import Engine

__all__ = ["EngineSettings", "Pace", "engine_settings"]


class Pace(Document):
    """What a simulated engine runs on: a `boute.performance.replica.Replica` as plain data."""

    costs: list[float] = Field(description="the record of boute.performance.step")
    stages: int
    kv_blocks: int
    block_size: int
    max_num_seqs: int
    max_num_batched_tokens: int
    async_scheduling: bool = False


class EngineSettings(Document):
    """One pool's engine.

    `weights_from` is a folder or a Hugging Face id. `cores` is the part of a core that a CPU is.
    `accelerator_type` is Ray's name of the GPU type. `pace` is of the simulated engine alone.
    """

    pool: str
    model: str = Field(description="the name that clients use and that answers carry")
    served_by: ServedBy
    vllm: Engine
    weights_from: str | None
    weights: Literal["bf16", "fp8", "int4"]
    kv_cache: Literal["bf16", "fp8"]
    device: Literal["gpu", "cpu"]
    cores: float = 1.0
    accelerator_type: str | None
    tensor_parallel: int
    pipeline_parallel: int
    max_model_len: int
    pace: Pace | None = None


def engine_settings(plan: Plan, pool: Pool, folder: Path, *, pace: Pace | None) -> EngineSettings:
    """The settings of one pool; `folder` is the plan's. Raise PlanError or ProfileError."""
    member = next(model for model in plan.models if model.name == pool.model)
    card = gpu_card(pool.gpu, plan.spec.gpus[pool.gpu], folder)
    served_by = member.served_by
    weights_from = member.huggingface_id
    if served_by.folder is not None:
        # Absolute, because a replica runs in another folder than whoever starts it.
        weights_from = str(resolve(served_by.folder, folder).absolute())
    if weights_from is None and served_by.on_devices:
        raise PlanError(
            f"nothing says where the weights of {member.name} are",
            where=f"models.{member.name}.served_by.folder",
            mend="name a Hugging Face folder, or give the model's card a huggingface_id",
        )
    return EngineSettings(
        pool=pool.name,
        model=pool.model,
        served_by=served_by,
        vllm=plan.spec.engine,
        weights_from=weights_from,
        weights=member.weights,
        kv_cache=member.kv_cache,
        device="cpu" if card.vendor == "cpu" else "gpu",
        cores=card.cores,
        accelerator_type=card.ray_accelerator_type,
        tensor_parallel=pool.tensor_parallel,
        pipeline_parallel=pool.pipeline_parallel,
        max_model_len=plan.max_model_len,
        pace=pace,
    )
