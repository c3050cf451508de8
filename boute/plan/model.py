"""The shape of plan.yaml: routing, pools, what is predicted of them, and where it came from."""

from __future__ import annotations

import math
from operator import not_
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from boute.documents import Document
from boute.outcome import Outcome
from boute.spec.family import ServedBy
from boute.spec.fields import Name, Weights
from boute.spec.model import Spec
from boute.spec.quality import Policy

__all__ = [
    "SCHEMA_VERSION",
    "Alternative",
    "DialStep",
    "Plan",
    "PlannedModel",
    "Policy",
    "Pool",
    "Routing",
    "Source",
]

SCHEMA_VERSION: Final = 1

Fraction = Annotated[float, Field(ge=0, le=1)]


class Source(Document):
    """Where a plan came from. A plan that no longer matches its spec or data can be told so."""

    spec: str = Field(description="the spec's file, relative to the plan")
    boute_version: str
    sampler: str
    seed: int
    spec_hash: Annotated[str, Field(min_length=64, max_length=64)]


class DialStep(Document):
    """The setting that is expected to give this mean quality on the plan's quality table."""

    quality: Fraction
    thresholds: list[float]
    prices: list[float] = Field(default_factory=list, exclude_if=not_)

    @property
    def setting(self) -> tuple[float, ...]:
        """Prices, or thresholds."""
        return tuple(self.prices or self.thresholds)


class Routing(Document):
    """Which query goes to which model.

    `models` are ordered by cost, cheapest first. A query with score s goes to the first model i
    with s <= thresholds[i], and to the last model when there is none: K models have K - 1
    ascending thresholds. `fractions` is the share of the queries that this gives each model.
    `router` names the folder of the router, relative to the plan, and `router_hash` the SHA-256 of
    its router.json.
    With the policy `utility` a query goes to the model k with the greatest expected quality less
    prices[k], the quality that 1,000 of its expected output tokens should bring. With `cascade`
    an answer of model k whose confidence is below thresholds[k], in no order, is not given, and the
    next model in order of cost is asked. `loads` is the share of the queries that each model is
    asked; without it, that which it answers. A model with no load is never asked.
    `dial` holds the settings between the cheapest and the best answers that the plan's pools can
    give, quality ascending: what a client chooses from with `model: boute-0.8`.
    """

    models: Annotated[list[Name], Field(min_length=1)]
    fractions: list[Fraction]
    thresholds: list[float]
    router: str | None = None
    router_hash: str | None = None
    # Left out where they say nothing: plans of thresholds are written as they were before these.
    policy: Policy = Field("thresholds", exclude_if="thresholds".__eq__)
    prices: list[float] = Field(default_factory=list, exclude_if=not_)
    loads: list[Fraction] = Field(default_factory=list, exclude_if=not_)
    dial: list[DialStep] = Field(default_factory=list)

    @property
    def asked(self) -> list[float]:
        """The share of the queries that each model is asked, in vain or not [K]."""
        return self.loads or self.fractions

    @property
    def setting(self) -> tuple[float, ...]:
        """What the policy is set by: prices, or thresholds."""
        return tuple(self.prices or self.thresholds)

    @model_validator(mode="after")
    def _consistent(self) -> Routing:
        if len(set(self.models)) != len(self.models):
            raise ValueError("models should differ")
        if len(self.fractions) != len(self.models):
            raise ValueError("fractions should have one entry a model")
        if not math.isclose(sum(self.fractions), 1.0, abs_tol=1e-6):
            raise ValueError(f"fractions should sum to 1, not {sum(self.fractions):g}")
        if self.loads and self.policy != "cascade":
            raise ValueError("loads are for a cascade")
        if self.loads and len(self.loads) != len(self.models):
            raise ValueError("loads should have one entry a model")
        if any(asked < given for asked, given in zip(self.loads, self.fractions, strict=False)):
            raise ValueError("a model cannot answer more queries than it is asked")
        self._check_setting(self.thresholds, self.prices, "")
        for step in self.dial:
            self._check_setting(step.thresholds, step.prices, " of the dial")
        if self.dial != sorted(self.dial, key=lambda step: step.quality):
            raise ValueError("the dial should ascend in quality")
        return self

    def _check_setting(self, thresholds: list[float], prices: list[float], whose: str) -> None:
        if self.policy == "utility":
            if thresholds or len(prices) != len(self.models):
                raise ValueError(f"utility{whose} should have one price a model and no thresholds")
            return
        if prices:
            raise ValueError(f"prices{whose} are for the policy utility")
        if len(thresholds) != len(self.models) - 1:
            raise ValueError(f"thresholds{whose} should have one entry fewer than models")
        if self.policy == "thresholds" and thresholds != sorted(thresholds):
            raise ValueError(f"thresholds{whose} should ascend")


class PlannedModel(Document):
    """How a member of the family is served."""

    name: Name
    card: str
    huggingface_id: str | None = None
    weights: Weights
    kv_cache: Literal["bf16", "fp8"]
    served_by: ServedBy = ServedBy()


class Pool(Document):
    """Replicas of one model on one GPU type with one parallelism.

    `weight` is the share of the model's queries that the pool takes; the weights of a model's
    pools sum to 1.
    """

    name: Name
    model: Name
    gpu: Name
    tensor_parallel: Annotated[int, Field(ge=1)]
    pipeline_parallel: Annotated[int, Field(ge=1)] = 1
    replicas: Annotated[int, Field(ge=1)]
    weight: Annotated[float, Field(gt=0, le=1)]

    @property
    def gpus_per_replica(self) -> int:
        """GPUs that one replica takes."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def gpus(self) -> int:
        """GPUs that the pool takes."""
        return self.gpus_per_replica * self.replicas


class Alternative(Document):
    """Another plan of the same front, by name, with its objectives: what better would cost."""

    plan: str
    objectives: dict[str, float]


class Plan(Document):
    """plan.yaml. Self-contained: with the data files that its spec names it can be simulated.

    The file ends with a hash of known length, so that a file cut short anywhere is seen to be.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: Name
    routing: Routing
    models: list[PlannedModel]
    max_model_len: Annotated[int, Field(ge=1)] = Field(
        description="tokens of the longest request, which the KV cache of every replica holds"
    )
    pools: Annotated[list[Pool], Field(min_length=1)]
    objectives: dict[str, float] = Field(description="value of each objective")
    predicted: Outcome
    alternatives: list[Alternative] = Field(default_factory=list)
    spec: Spec = Field(description="what was asked; file names are relative to the plan")
    source: Source

    @model_validator(mode="after")
    def _pools_serve_the_routing(self) -> Plan:
        check_pools(self.routing, self.pools)
        if set(self.routing.models) != set(self.spec.model_names):
            raise ValueError("routing.models should be the models of the spec, in order of cost")
        names = {model.name for model in self.models}
        for pool in self.pools:
            if pool.model not in names:
                raise ValueError(f"pool {pool.name} serves {pool.model}, which is not in models")
            if pool.gpu not in self.spec.gpus:
                raise ValueError(f"pool {pool.name} is on {pool.gpu}, which is not in spec.gpus")
        return self


def check_pools(routing: Routing, pools: list[Pool]) -> None:
    """Raise ValueError unless each model with queries has pools whose weights sum to 1."""
    names = [pool.name for pool in pools]
    if len(set(names)) != len(names):
        raise ValueError("two pools have one name")
    for pool in pools:
        if pool.model not in routing.models:
            raise ValueError(f"pool {pool.name} serves {pool.model}, which is not in the routing")
    for model, load in zip(routing.models, routing.asked, strict=True):
        weights = [pool.weight for pool in pools if pool.model == model]
        if load > 0 and not weights:
            raise ValueError(f"{model} takes {load:.1%} of the queries but has no pool")
        if weights and not math.isclose(sum(weights), 1.0, abs_tol=1e-6):
            raise ValueError(f"weights of the pools of {model} should sum to 1")
