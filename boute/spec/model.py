"""The shape of boute.yaml. Every key has its unit in its name and a default where one is safe."""

from __future__ import annotations

import re
from operator import not_
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from boute.documents import Document
from boute.errors import nearest
from boute.metrics import METRICS, MIGRATION

__all__ = [
    "Engine",
    "Generator",
    "GpuSupply",
    "LengthDistribution",
    "ModelChoice",
    "Policy",
    "Quality",
    "RouterChoice",
    "RunningPool",
    "Search",
    "ServedBy",
    "Spec",
    "Targets",
    "WorkloadSource",
]

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Weights = Literal["bf16", "fp8", "int4"]
Policy = Literal["thresholds", "utility", "cascade"]


_SECRET = re.compile(r"secret|password|_token$|^token$|api[_-]?key", re.IGNORECASE)


def _can_be_a_path(value: str) -> str:
    if "\0" in value or any(len(part.encode()) > 255 for part in value.split("/")):
        raise ValueError("should name a file or something that boute ships")
    return value


FileName = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_can_be_a_path)]


class ServedBy(Document):
    """What answers for a model. A plan names it, and nothing else is used in its place.

    `vllm` runs in the replica; `vllm-process` is vLLM's own server as a child of the replica, from
    another environment if `python` names its interpreter; `ray-llm` is the server of Ray Serve LLM;
    `openai` passes on to an endpoint that is there already; `simulated` answers at the pace of the
    performance model and has no GPU. `args` go to vLLM as they are.
    """

    engine: Literal["vllm", "vllm-process", "ray-llm", "openai", "simulated"] = "vllm"
    folder: FileName | None = Field(
        default=None, description="weights in a Hugging Face folder, if not by huggingface_id"
    )
    args: dict[str, Any] = Field(default_factory=dict, description="further arguments of vLLM")
    env: dict[str, str] = Field(default_factory=dict, description="environment of the engine")
    python: str | None = Field(default=None, description="interpreter of vllm-process")
    base_url: str | None = Field(default=None, description="of openai, with /v1")
    model: str | None = Field(default=None, description="name of the model at the endpoint")
    api_key_env: str | None = Field(default=None, description="variable with the endpoint's key")

    @property
    def on_devices(self) -> bool:
        """Whether the engine loads weights and runs on the pool's GPUs."""
        return self.engine in ("vllm", "vllm-process", "ray-llm")

    @model_validator(mode="after")
    def _belongs_together(self) -> ServedBy:
        if (self.engine == "openai") != (self.base_url is not None):
            raise ValueError("engine openai and base_url go together")
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError("base_url should begin with http:// or https://")
        if self.engine != "openai" and (self.model or self.api_key_env):
            raise ValueError("model and api_key_env are of engine openai")
        if self.engine != "vllm-process" and self.python is not None:
            raise ValueError("python is of engine vllm-process")
        for name in [*self.env, *self.args]:
            if _SECRET.search(name):
                raise ValueError(f"{name} should be set where the server runs, not in a file")
        return self


class ModelChoice(Document):
    """One member of the family: a card by name (or a file of one's own) and how it is served."""

    name: Name
    card: FileName | None = Field(default=None, description="name or file of the model card")
    weights: Weights = Field(default="bf16", description="number format of the weights")
    kv_cache: Literal["bf16", "fp8"] = Field(default="bf16", description="format of the KV cache")
    served_by: ServedBy = ServedBy()


# What a file may hold, for the JSON Schema: a name is short for a choice with nothing else set.
_ModelChoices = Annotated[list[Name | ModelChoice], Field(min_length=1, max_length=16)]


class GpuSupply(Document):
    """What can be had of one GPU type, and its price where it differs from the catalog."""

    count: Annotated[int, Field(ge=0, le=4096)]
    price_per_hour: Positive | None = Field(default=None, description="US dollars per GPU")
    spot: bool = Field(default=False, description="the catalog's spot price, unless one is given")
    card: FileName | None = Field(default=None, description="name or file of the GPU card")
    node_gpus: Count | None = Field(default=None, description="GPUs in one node, if not the card's")


class LengthDistribution(Document):
    """Token lengths: lognormal with a median and a sigma of the logarithm, clipped."""

    median: Positive
    sigma: Annotated[float, Field(ge=0, le=5)] = 0.0
    minimum: Count = 1
    maximum: Annotated[int, Field(ge=1, le=10_000_000)] = 131_072

    @model_validator(mode="after")
    def _ordered(self) -> LengthDistribution:
        if self.minimum > self.maximum:
            raise ValueError("minimum should not exceed maximum")
        return self


class Generator(Document):
    """A synthetic workload: an arrival process and token lengths.

    `gamma` has interarrival times with coefficient of variation `cv`; `on-off` alternates bursts
    of `on_s` seconds at `burst_factor` times the mean rate with quieter spells of `off_s`;
    `diurnal` moves sinusoidally by `amplitude` around the mean over `period_s`.
    """

    arrivals: Literal["poisson", "gamma", "on-off", "diurnal"] = "poisson"
    rate_per_s: Positive
    duration_s: Positive = 600.0
    cv: Positive = 2.0
    on_s: Positive = 30.0
    off_s: Positive = 90.0
    burst_factor: Annotated[float, Field(ge=1)] = 3.0
    period_s: Positive = 86_400.0
    amplitude: Annotated[float, Field(ge=0, le=1)] = 0.8
    input_tokens: LengthDistribution
    output_tokens: LengthDistribution

    @model_validator(mode="after")
    def _mean_rate_is_reachable(self) -> Generator:
        if self.arrivals == "on-off":
            highest = (self.on_s + self.off_s) / self.on_s
            if self.burst_factor > highest:
                raise ValueError(
                    f"burst_factor should be at most (on_s + off_s) / on_s = {highest:g}"
                )
        return self


class WorkloadSource(Document):
    """Where requests come from: a trace file or preset by name, or a generator."""

    trace: str | None = Field(default=None, description="a file, or the name of a preset")
    generator: Generator | None = None
    columns: dict[Literal["arrival", "input_tokens", "output_tokens"], str] = Field(
        default_factory=dict, description="names of the columns where they are not recognised"
    )
    rate_scale: Positive = Field(default=1.0, description="times as many requests a second")
    start_s: Annotated[float, Field(ge=0)] = 0.0
    duration_s: Positive | None = Field(default=None, description="length of the window used")
    max_requests: Count | None = None
    thin_to: Annotated[int, Field(ge=1000)] | None = Field(
        default=None,
        description="requests simulated of a longer trace; default: 400,000 of over 2 million",
    )
    seed: Seed = Field(default=0, description="draws arrivals and pairs requests with queries")

    @model_validator(mode="after")
    def _one_source(self) -> WorkloadSource:
        if (self.trace is None) == (self.generator is None):
            raise ValueError("give either trace or generator")
        return self


class RouterChoice(Document):
    """The router of the plans: of a kind, trained on the table, or one that is trained already.

    A `folder` (`boute router train`) knows the models of the spec, cheapest first. Plans are then
    judged on rows of the table that it was not trained on.
    """

    kind: Literal["lexical", "boosted", "neighbours", "factorisation", "embedding"] = "lexical"
    embedding: FileName | None = Field(
        default=None, description="folder of an embedding model, for every kind but lexical"
    )
    folder: FileName | None = Field(default=None, description="folder of a trained router")

    @model_validator(mode="after")
    def _one_router(self) -> RouterChoice:
        if self.folder is not None and self.model_fields_set & {"kind", "embedding"}:
            raise ValueError("a folder holds a router of its own kind: give either")
        return self


class Quality(Document):
    """Where answer quality comes from: a table with a row a query, or a preset by name.

    `columns` says which column holds what when the defaults do not fit: `quality` and
    `output_tokens` map a model's name in this spec to a column. `output_unit: chars` divides by
    `chars_per_token`. With `output_length: scaled` (the default) a request keeps the output length
    of its trace, times how much longer than the family's mean the model answers that query; with
    `table` the table's own lengths are used. `policy` is how plans route; `confidence` maps a
    model's name to the column that holds, in [0, 1], how sure it was of its own answer.
    """

    table: FileName = Field(description="a CSV, Parquet or JSONL file, or the name of a preset")
    query: str | None = Field(default=None, description="column of the query text")
    score: str | None = Field(default=None, description="column of a score, higher is harder")
    features: list[str] = Field(default_factory=list, description="columns of numeric features")
    quality: dict[Name, str] = Field(default_factory=dict, description="model to column")
    output_tokens: dict[Name, str] = Field(default_factory=dict, description="model to column")
    lengths: FileName | None = Field(default=None, description="a second file with output lengths")
    texts: FileName | None = Field(default=None, description="a second file with query texts")
    key: list[str] = Field(default_factory=list, description="columns that join the files")
    output_unit: Literal["tokens", "chars"] = "tokens"
    chars_per_token: Positive = 4.0
    output_length: Literal["scaled", "table"] = "scaled"
    router: RouterChoice = RouterChoice()
    # Without what is new and says nothing, specs of thresholds have the hash that they had.
    policy: Policy = Field("thresholds", exclude_if="thresholds".__eq__)
    confidence: dict[Name, str] = Field(
        default_factory=dict, description="model to column", exclude_if=not_
    )


class Targets(Document):
    """What a plan must meet: SLOs in seconds, a quality floor, and a budget in dollars an hour.

    The last two limit how far it may be from the fleet that runs: GPUs that change hands, and
    seconds until what has to start has started.
    """

    ttft_p50_s: Positive | None = None
    ttft_p90_s: Positive | None = None
    ttft_p95_s: Positive | None = None
    ttft_p99_s: Positive | None = None
    tpot_p50_s: Positive | None = None
    tpot_p90_s: Positive | None = None
    tpot_p95_s: Positive | None = None
    tpot_p99_s: Positive | None = None
    e2e_p50_s: Positive | None = None
    e2e_p90_s: Positive | None = None
    e2e_p95_s: Positive | None = None
    e2e_p99_s: Positive | None = None
    quality_min: Fraction | None = None
    budget_per_hour: Positive | None = None
    moved_gpus_max: Annotated[int, Field(ge=0)] | None = None
    migration_max_s: Annotated[float, Field(ge=0)] | None = None

    def limits(self) -> dict[str, tuple[str, float]]:
        """The targets that are set: name to metric and limit."""
        given = self.model_dump(exclude_none=True)
        return {name: (_LIMITED.get(name, name), float(value)) for name, value in given.items()}

    def latency_limits(self) -> dict[str, float]:
        """The latency targets that are set: metric name to limit in seconds."""
        found = self.limits().items()
        return {metric: limit for name, (metric, limit) in found if name not in _LIMITED}

    def migration_limits(self) -> dict[str, float]:
        """The limits on the way from the fleet that runs: metric name to limit."""
        return {metric: limit for metric, limit in self.limits().values() if metric in MIGRATION}

    def request_limits(self) -> dict[str, float]:
        """What one request has to meet to count as goodput: latency name to limit in seconds.

        A request counts when it meets the strictest limit set on each latency.
        """
        limits: dict[str, float] = {}
        for metric, limit in self.latency_limits().items():
            latency = metric.split("_", 1)[0]
            limits[latency] = min(limit, limits.get(latency, limit))
        return limits


# Targets that are not called like the metric that they limit.
_LIMITED: Final = {
    "quality_min": "quality",
    "budget_per_hour": "cost_per_hour",
    "moved_gpus_max": "moved_gpus",
    "migration_max_s": "migration_s",
}


class RunningPool(Document):
    """Replicas that run now, with the number formats that they serve their model in."""

    model: Name
    gpu: Name
    replicas: Count
    tensor_parallel: Count = 1
    pipeline_parallel: Count = 1
    weights: Weights = "bf16"
    kv_cache: Literal["bf16", "fp8"] = "bf16"


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
