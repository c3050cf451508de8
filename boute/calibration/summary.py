"""Predicted against measured: errors over all runs and by GPU, model, parallelism and load.

An error is (predicted - measured) / measured. `MAPE` is the mean of its absolute value, `bias` its
median, P50 and P95 percentiles of the absolute value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from boute.calibration.predict import Prediction, predict
from boute.calibration.runs import Loaded, Replay, Run, Skipped
from boute.errors import DataError
from boute.performance.estimate import find_model

__all__ = [
    "Check",
    "Compared",
    "Groups",
    "as_json",
    "check",
    "errors_of",
    "groups",
    "label",
    "worst",
]

METRICS: Final = ("tpot", "ttft")
HEADLINE: Final = "vllm"
WORST: Final = 10
Predict = Callable[[Run], Prediction | str]
Groups = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Compared:
    """A run and its prediction."""

    run: Run
    predicted: Prediction

    def error(self, metric: str) -> float | None:
        """Relative error of `tpot` or `ttft`; None where the run does not tell it."""
        measured = getattr(self.run, f"{metric}_s")
        if measured is None or measured <= 0.0:
            return None
        return float(getattr(self.predicted, f"{metric}_s") / measured - 1.0)


@dataclass(frozen=True)
class Check:
    """Everything that was compared, and what was left out with the reason."""

    compared: tuple[Compared, ...]
    skipped: tuple[Skipped, ...]

    @property
    def headline(self) -> list[Compared]:
        """The runs of vLLM, which is what is modelled; all of them where there are none."""
        return [c for c in self.compared if c.run.engine_name == HEADLINE] or list(self.compared)


def check(loaded: Loaded, by: Predict = predict) -> Check:
    """Predict every run; raise DataError where nothing can be compared."""
    compared, skipped = [], list(loaded.skipped)
    for run in loaded.runs:
        found = by(run)
        if isinstance(found, str):
            skipped.append(Skipped(run.where, found))
        elif run.ttft_s is None and run.tpot_s is None:
            skipped.append(Skipped(run.where, "tells neither TTFT nor TPOT"))
        else:
            compared.append(Compared(run, found))
    if not compared:
        first = skipped[0] if skipped else Skipped("", "there are no runs")
        raise DataError(f"nothing can be compared; the first: {first.reason}", where=first.where)
    return Check(tuple(compared), tuple(skipped))


def errors_of(compared: Iterable[Compared]) -> dict[str, Any]:
    """Rows, and MAPE, bias, P50 and P95 of both metrics; None where no row tells a metric."""
    rows = list(compared)
    found: dict[str, Any] = {"rows": len(rows)}
    for metric in METRICS:
        errors = np.array([e for row in rows if (e := row.error(metric)) is not None])
        sizes = np.abs(errors)
        known = len(errors) > 0
        found |= {
            f"{metric}_mape": float(sizes.mean()) if known else None,
            f"{metric}_bias": float(np.median(errors)) if known else None,
            f"{metric}_p50": float(np.percentile(sizes, 50)) if known else None,
            f"{metric}_p95": float(np.percentile(sizes, 95)) if known else None,
        }
    return found


def label(run: Run) -> str:
    """What a run was of, in a line."""
    load = run.load
    asked = (
        f"{len(load.arrival_s)} requests as sent"
        if isinstance(load, Replay)
        else f"{load.input_tokens}/{load.output_tokens} x{load.concurrency}"
    )
    return f"{run.model.rsplit('/', 1)[-1]} {run.weights} {run.gpu} TP{run.tp} {asked}"


def _load_name(run: Run) -> str:
    load = run.load
    return "replayed" if isinstance(load, Replay) else f"concurrency {load.concurrency}"


@cache
def _kind(model: str) -> str:
    return "experts" if find_model(model, Path()).is_moe else "dense"


KEYS: Final[Mapping[str, Callable[[Run], str]]] = {
    "gpu": lambda run: run.gpu,
    "model": lambda run: run.model,
    "kind": lambda run: _kind(run.model),
    "parallelism": lambda run: f"TP{run.tp} PP{run.pp}",
    "load": _load_name,
    "recipe": lambda run: run.recipe,
}


def groups(compared: Sequence[Compared], key: str) -> Groups:
    """Errors by one of KEYS, in the order of the rows."""
    names = dict.fromkeys(KEYS[key](row.run) for row in compared)
    return {
        name: errors_of(row for row in compared if KEYS[key](row.run) == name) for name in names
    }


def worst(compared: Sequence[Compared]) -> list[Compared]:
    """The rows with the largest errors of either metric."""

    def size(row: Compared) -> float:
        return max(abs(row.error(metric) or 0.0) for metric in METRICS)

    return sorted(compared, key=size, reverse=True)[:WORST]


def as_json(found: Check) -> dict[str, Any]:
    """What `boute profile check --json` prints."""
    rows = found.headline
    others = [row for row in found.compared if row not in rows]
    engines = dict.fromkeys(row.run.engine_name for row in others)
    return {
        **errors_of(rows),
        "engine": rows[0].run.engine_name,
        **{f"by_{key}": groups(rows, key) for key in KEYS},
        "other_engines": {
            name: errors_of(row for row in others if row.run.engine_name == name)
            for name in engines
        },
        "worst": [_row(row) for row in worst(rows)],
        "skipped": [{"where": one.where, "reason": one.reason} for one in found.skipped],
    }


def _row(row: Compared) -> dict[str, Any]:
    return {
        "where": row.run.where,
        "run": label(row.run),
        **{
            name: value
            for metric in METRICS
            for name, value in (
                (f"{metric}_measured_s", getattr(row.run, f"{metric}_s")),
                (f"{metric}_predicted_s", getattr(row.predicted, f"{metric}_s")),
                (f"{metric}_error", row.error(metric)),
            )
        },
    }
