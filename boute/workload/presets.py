"""Shipped workloads: parameters fitted to public traces, drawn anew from a seed.

A preset is a YAML file in `profiles/presets/workloads`, written by
`python -m benchmarks.fit_workload_presets`. Arrivals are a renewal process whose gaps come from a
table of quantiles, in a time that runs as fast as the trace's rate profile; input lengths come from
a table of quantiles, output lengths from a table for each class of input length. Arrivals and
lengths are drawn independently of each other.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

import boute.profiles
from boute.documents import Document, load_document
from boute.errors import DataError, nearest
from boute.workload.arrays import Floats, Trace
from boute.workload.arrivals import renewal, rescaled
from boute.workload.generators import check_count
from boute.workload.lengths import from_quantiles, table_mean
from boute.workload.statistics import Statistics

__all__ = ["Preset", "draw_preset", "load_preset", "preset_names"]

Positive = Annotated[float, Field(gt=0)]
Quantiles = Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2)]


class Preset(Document):
    """Parameters of a workload.

    `rate_profile` is the rate in each span of `step_s` relative to `rate_per_s`; its last span may
    be cut by `duration_s`. `gaps` [P] are quantiles of the interarrival time relative to its mean,
    `input_tokens` [P] of input length, and `output_tokens` [C, P] of output length in each of C
    equally likely classes of input length, shortest first; all at `probabilities` [P].
    `measured` is what the source measured, to hold a draw against.
    """

    name: str
    description: str
    source: str
    licence: str
    rate_per_s: Positive
    duration_s: Positive
    step_s: Positive
    rate_profile: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)]
    probabilities: Quantiles
    gaps: Quantiles
    input_tokens: Quantiles
    output_tokens: Annotated[list[Quantiles], Field(min_length=1)]
    measured: Statistics

    @model_validator(mode="after")
    def _tables_are_quantiles(self) -> Preset:
        grid = self.probabilities
        if grid[0] != 0 or grid[-1] != 1 or np.any(np.diff(grid) <= 0):
            raise ValueError("probabilities should ascend from 0 to 1")
        for table in (self.gaps, self.input_tokens, *self.output_tokens):
            if len(table) != len(grid) or np.any(np.diff(table) < 0):
                raise ValueError("a table should ascend and have a value for each probability")
        if len(self.rate_profile) != math.ceil(self.duration_s / self.step_s):
            raise ValueError("rate_profile should have a value for each step_s of duration_s")
        return self


def preset_names() -> list[str]:
    """Names of the shipped workloads, sorted."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_preset(name: str) -> Preset:
    """Read a shipped workload by name; raises DataError when there is none of that name."""
    if name not in preset_names():
        raise DataError(
            f"there is no workload preset {name!r}", mend=nearest(name, preset_names(), "presets")
        )
    return load_document(_folder() / f"{name}.yaml", Preset, error=DataError)


def draw_preset(preset: Preset, rng: np.random.Generator, *, rate_scale: float = 1.0) -> Trace:
    """Draw a trace over the preset's duration at `rate_scale` times its rate."""
    check_count(preset.rate_per_s * preset.duration_s * rate_scale, where="workload.rate_scale")
    grid = np.asarray(preset.probabilities)
    at = _arrivals(preset, grid, rng, rate_scale)
    if len(at) == 0:
        raise DataError(
            f"{preset.name} makes no request at this rate",
            where="workload.rate_scale",
            mend="raise it",
        )
    rank = rng.random(len(at))
    outputs = np.asarray(preset.output_tokens)
    # The class is that of the rank, not of the length: equal lengths spread over classes as in the
    # trace, where ties were split in order of arrival.
    classes = (rank * len(outputs)).astype(np.int64)
    input_tokens = from_quantiles(rank, grid, np.asarray(preset.input_tokens))
    output_tokens = from_quantiles(rng.random(len(at)), grid, outputs, classes)
    return Trace(
        preset.name,
        at,
        np.maximum(np.rint(input_tokens), 1).astype(np.int64),
        np.maximum(np.rint(output_tokens), 1).astype(np.int64),
        preset.duration_s,
    )


def _arrivals(preset: Preset, grid: Floats, rng: np.random.Generator, rate_scale: float) -> Floats:
    edges = np.minimum(np.arange(len(preset.rate_profile) + 1) * preset.step_s, preset.duration_s)
    per_step = np.asarray(preset.rate_profile) * np.diff(edges)
    expected = preset.rate_per_s * preset.duration_s * rate_scale
    cumulative = np.append(0.0, np.cumsum(per_step / per_step.sum())) * expected
    gaps = np.asarray(preset.gaps) / table_mean(grid, np.asarray(preset.gaps))
    at = renewal(lambda n: from_quantiles(rng.random(n), grid, gaps), float(cumulative[-1]))
    return rescaled(at, edges, cumulative)


def _folder() -> Path:
    return Path(boute.profiles.__file__).parent / "presets" / "workloads"
