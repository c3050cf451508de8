"""A measured run as every reader gives it, and what a reader has to be told by the user.

Nothing is predicted here; `boute.calibration.predict` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.errors import DataError, InputError
from boute.performance.closed_loop import Load
from boute.spec.model import Engine

__all__ = [
    "LLMSERVINGSIM",
    "Given",
    "Loaded",
    "Replay",
    "Run",
    "Skipped",
    "number",
    "run_of",
    "whole",
]

LLMSERVINGSIM: Final = {"RTX4090": "rtx-4090", "RTXPRO6000": "rtx-pro-6000"}
"""GPU cards by the folders of LLMServingSim."""


@dataclass(frozen=True)
class Given:
    """What a file may not tell: GPU and model by name, formats, parallelism, engine limits."""

    gpu: str | None = None
    model: str | None = None
    weights: str = "bf16"
    kv_cache: str = "bf16"
    tp: int = 1
    pp: int = 1


@dataclass(frozen=True, eq=False)
class Replay:
    """Requests [n] that were sent at times of their own, in order of arrival."""

    arrival_s: NDArray[np.float64]
    input_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Run:
    """One run: what was deployed, the load on it, and the mean or median that was measured.

    `recipe` names how the load was read, `engine_name` the engine that was measured; `engine` is
    None where it ran with the defaults of vLLM's server. Seconds; None where the run does not tell.
    """

    where: str
    recipe: str
    engine_name: str
    gpu: str
    model: str
    weights: str
    kv_cache: str
    tp: int
    pp: int
    engine: Engine | None
    load: Load | Replay
    ttft_s: float | None
    tpot_s: float | None
    statistic: str = "mean"
    asynchronous: bool = True


@dataclass(frozen=True)
class Skipped:
    """A run that was left out, and why."""

    where: str
    reason: str


@dataclass
class Loaded:
    """What the readers of some files found."""

    runs: list[Run] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, where: str, found: Run | str) -> None:
        """A run, or the reason why there is none."""
        if isinstance(found, str):
            self.skipped.append(Skipped(where, found))
        else:
            self.runs.append(found)


def run_of(
    told: Given,
    *,
    where: str,
    recipe: str,
    engine: Engine | None,
    load: Load | Replay,
    ttft_s: float | None,
    tpot_s: float | None,
) -> Run:
    """A run of vLLM on what is told; raise InputError where that leaves GPU or model open."""
    if told.gpu is None or told.model is None:
        name = "gpu" if told.gpu is None else "model"
        raise InputError(f"does not tell the {name}", where=where, mend=f"give it as --{name}")
    return Run(
        where=where,
        recipe=recipe,
        engine_name="vllm",
        gpu=told.gpu,
        model=told.model,
        weights=told.weights,
        kv_cache=told.kv_cache,
        tp=told.tp,
        pp=told.pp,
        engine=engine,
        load=load,
        ttft_s=ttft_s,
        tpot_s=tpot_s,
    )


def number(row: Mapping[str, object], key: str, *, where: str) -> float | None:
    """A finite number of a row, None where there is none; raise DataError for anything else."""
    value = row.get(key)
    if value is None or value == "":
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = np.inf
    if np.isnan(found):
        return None
    if not np.isfinite(found):
        raise DataError(f"{value!r} is not a number", where=f"{where}: {key}")
    return float(found)


def whole(row: Mapping[str, object], key: str, *, where: str, default: int | None = None) -> int:
    """A whole number from 1 on; raise DataError where it is missing or anything else."""
    found = number(row, key, where=where)
    if found is None and default is not None:
        return default
    if found is None or found < 1 or found != int(found) or found > 1e9:
        shown = "nothing" if found is None else f"{found:g}"
        raise DataError(
            f"should be a whole number from 1 on, there is {shown}", where=f"{where}: {key}"
        )
    return int(found)
