"""The shape of boute.yaml. Every key has its unit in its name and a default where one is safe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from boute.documents import Document
from boute.errors import nearest
from boute.metrics import METRICS, MIGRATION
from boute.spec.family import ModelChoice
from boute.spec.fields import Count, FileName, KvCache, Name, Positive, Seed, Weights
from boute.spec.quality import Quality
from boute.spec.targets import Targets
from boute.spec.workload import WorkloadSource

__all__ = ["Engine", "GpuSupply", "RunningPool", "Search", "Spec"]


class GpuSupply(Document):
    """What can be had of one GPU type, and its price where it differs from the catalog."""

    count: Annotated[int, Field(ge=0, le=4096)]
    price_per_hour: Positive | None = Field(default=None, description="US dollars per GPU")
    spot: bool = Field(default=False, description="the catalog's spot price, unless one is given")
    card: FileName | None = Field(default=None, description="name or file of the GPU card")
    node_gpus: Count | None = Field(default=None, description="GPUs in one node, if not the card's")


class RunningPool(Document):
    """Replicas that run now, with the number formats that they serve their model in."""

    model: Name
    gpu: Name
    replicas: Count
    tensor_parallel: Count = 1
    pipeline_parallel: Count = 1
    weights: Weights = "bf16"
    kv_cache: KvCache = "bf16"


# A plan file, or its pools as they are.
_Current = Annotated[
    Annotated[FileName, Tag("file")] | Annotated[list[RunningPool], Tag("pools")],
    Discriminator(lambda value: "pools" if isinstance(value, list) else "file"),
]


class Engine(Document):
    """Settings of vLLM that the plan assumes and that serving passes on."""

    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_num_seqs: Annotated[int, Field(ge=1, le=4096)] = 256
    max_num_batched_tokens: Annotated[int, Field(ge=16, le=131_072)] = 8192
    block_size: Literal[8, 16, 32, 64, 128] = 16
    max_model_len: Count | None = Field(default=None, description="default: longest request")
    async_scheduling: bool | None = Field(default=None, description="default: on GPUs, as vLLM")


class Search(Document):
    """How hard to look. The command line overrides each."""

    sampler: Literal[
        "mobo",
        "mobo-gp",
        "exact",
        "nsga2",
        "sobol",
        "optuna-tpe",
        "optuna-gp",
        "bilevel",
        "sequential",
        "single-model",
        "single-gpu",
    ] = "mobo"
    evaluations: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    time_limit_s: Positive | None = None
    seed: Seed = 0
    robust: bool = Field(default=False, description="judge plans by the worse end of intervals")


# What a file may hold, for the JSON Schema: a name is short for a choice with nothing else set.
_ModelChoices = Annotated[list[Name | ModelChoice], Field(min_length=1, max_length=16)]


class Spec(Document):
    """boute.yaml: the family, the GPUs, the workload, the quality data and the goals."""

    models: Annotated[list[ModelChoice], Field(min_length=1, max_length=16)]
    gpus: Annotated[dict[Name, GpuSupply], Field(min_length=1, max_length=64)]
    workload: WorkloadSource
    quality: Quality
    targets: Targets = Targets()
    objectives: list[str] = Field(
        default=["quality", "e2e_p95_s", "cost_per_hour"], min_length=2, max_length=4
    )
    engine: Engine = Engine()
    measured: list[FileName] = Field(
        default_factory=list, description="files of measured step times, which replace the formulas"
    )
    current: _Current | None = Field(
        default=None, description="what runs now: a plan file, or its pools"
    )
    search: Search = Search()

    @field_validator("models", mode="before", json_schema_input_type=_ModelChoices)
    @classmethod
    def _names_are_short_for_choices(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"name": item} if isinstance(item, str) else item for item in value]

    @field_validator("models")
    @classmethod
    def _names_differ(cls, value: list[ModelChoice]) -> list[ModelChoice]:
        names = [choice.name for choice in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is given twice")
        return value

    @field_validator("objectives")
    @classmethod
    def _objectives_are_metrics(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in METRICS:
                raise ValueError(f"{name} is not a metric; {nearest(name, METRICS, 'metrics')}")
            if value.count(name) > 1:
                raise ValueError(f"{name} is given twice")
        return value

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of the family, in the order given."""
        return tuple(choice.name for choice in self.models)

    def migration_keys(self) -> list[str]:
        """Keys of the spec that ask how far a plan is from what runs."""
        targets = [
            name for name, (metric, _) in self.targets.limits().items() if metric in MIGRATION
        ]
        return [
            *(f"targets.{name}" for name in targets),
            *(["objectives"] if set(MIGRATION) & set(self.objectives) else []),
        ]
