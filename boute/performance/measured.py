"""Step times measured on a live engine, which take the place of the formulas where there are any.

A measured profile is a YAML file of entries, one for each (GPU type, model, number formats,
parallelism) that was measured; `boute profile measure` writes it and a spec names it under
`measured`. Here is what the file holds and what the simulator makes of it; how it is measured is
`boute.measure`.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from boute.documents import Document, load_document
from boute.errors import ProfileError
from boute.performance import step
from boute.performance.energy import add_energy
from boute.performance.power import PowerCoefficients

__all__ = [
    "Conditions",
    "HeldOut",
    "MeasuredEntry",
    "MeasuredProfile",
    "ReplicaKey",
    "StepTimes",
    "find_entry",
    "load_measured",
    "measured_costs",
    "with_entry",
]

Seconds = Annotated[float, Field(ge=0, le=3600)]
Count = Annotated[int, Field(ge=1)]


class ReplicaKey(NamedTuple):
    """What an entry is of: `gpu` and `model` are the names of their cards."""

    gpu: str
    model: str
    weights: str
    kv_cache: str
    tensor_parallel: int
    pipeline_parallel: int

    def __str__(self) -> str:
        formats = f"{self.weights} weights, {self.kv_cache} KV cache"
        return (
            f"{self.model} on {self.gpu} ({formats}, TP{self.tensor_parallel} "
            f"PP{self.pipeline_parallel})"
        )


class StepTimes(Document):
    """Seconds of one stage of a step, linear in what the simulator counts of a batch.

    A step takes `floor_s`, and `token_s` for each token in it, `sequence_s` for each sequence that
    samples one, `pair_s` for each query-key pair of prefill attention, `context_s` for each cached
    token that a decode reads. A request pays `request_s` once, before its first token and without
    holding up others: network, ingress and tokenizing.
    """

    floor_s: Seconds
    token_s: Seconds
    sequence_s: Seconds
    pair_s: Seconds
    context_s: Seconds
    request_s: Seconds


class HeldOut(Document):
    """What the entry predicts of requests that the fit has not seen.

    They came as a Poisson process at `rate_per_s`, `load` of what the endpoint carries. Errors are
    (predicted - measured) / measured; `e2e_request_error` is the median over the requests of the
    absolute error of each.
    """

    requests: Count
    rate_per_s: Annotated[float, Field(gt=0)]
    load: Annotated[float, Field(gt=0)]
    ttft_p50_s: Seconds
    ttft_p50_error: float
    e2e_p50_s: Seconds
    e2e_p50_error: float
    e2e_p95_s: Seconds
    e2e_p95_error: float
    e2e_request_error: float

    @property
    def stated_error(self) -> float:
        """The larger absolute error of the P50 and the P95 of E2E."""
        return max(abs(self.e2e_p50_error), abs(self.e2e_p95_error))


class Conditions(Document):
    """How the steps were measured: requests, concurrencies tried, the longest request, the seed."""

    requests: Count
    concurrency: list[Count]
    longest_tokens: Count
    rounds: Count
    seed: Annotated[int, Field(ge=0)]


class MeasuredEntry(Document):
    """One replica that was measured. `kv_tokens` is the room for KV cache, None where not known."""

    gpu: str
    model: str
    weights: Literal["bf16", "fp8", "int4"]
    kv_cache: Literal["bf16", "fp8"]
    tensor_parallel: Count
    pipeline_parallel: Count
    made_on: datetime.date
    engine: str
    times: StepTimes
    kv_tokens: Count | None = None
    held_out: HeldOut
    conditions: Conditions

    @property
    def key(self) -> ReplicaKey:
        """What the entry is of."""
        return ReplicaKey(
            self.gpu,
            self.model,
            self.weights,
            self.kv_cache,
            self.tensor_parallel,
            self.pipeline_parallel,
        )


class MeasuredProfile(Document):
    """The whole file. Nothing is measured twice in it."""

    schema_version: Literal[1] = 1
    entries: Annotated[list[MeasuredEntry], Field(min_length=1)]

    @field_validator("entries")
    @classmethod
    def _keys_differ(cls, value: list[MeasuredEntry]) -> list[MeasuredEntry]:
        seen: set[ReplicaKey] = set()
        for entry in value:
            if entry.key in seen:
                raise ValueError(f"{entry.key} is there twice")
            seen.add(entry.key)
        return value


def load_measured(path: Path) -> MeasuredProfile:
    """Read a measured profile; raise ProfileError naming file, line and key."""
    return load_document(path, MeasuredProfile, error=ProfileError)


def find_entry(entries: Sequence[MeasuredEntry], key: ReplicaKey) -> MeasuredEntry | None:
    """The entry of a replica, or None when it was not measured."""
    return next((entry for entry in entries if entry.key == key), None)


def with_entry(entries: Sequence[MeasuredEntry], entry: MeasuredEntry) -> list[MeasuredEntry]:
    """The entries with one added, or put in the place of the one of the same key."""
    if find_entry(entries, entry.key) is None:
        return [*entries, entry]
    return [entry if old.key == entry.key else old for old in entries]


def measured_costs(
    times: StepTimes, dynamic_w: float, power: PowerCoefficients
) -> NDArray[np.float64]:
    """The record [N_COSTS] of one stage whose GPUs draw at most `dynamic_w` above idle.

    A measurement cannot tell reading weights from waiting for the host, so the floor is written as
    the former, which draws power.
    """
    costs = np.zeros(step.N_COSTS)
    costs[step.WEIGHT_S] = times.floor_s
    costs[step.LINEAR_TOKEN_S] = times.token_s
    costs[step.SEQUENCE_S] = times.sequence_s
    costs[step.PAIR_S] = times.pair_s
    costs[step.CONTEXT_S] = times.context_s
    add_energy(costs, dynamic_w, power, token_s=times.token_s)
    return costs
