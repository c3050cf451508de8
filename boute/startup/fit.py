"""Fits the linear models of the steps to starts that were measured, and checks what that is worth.

Non-negative least squares of seconds, step by step: nothing makes a start shorter than nothing. The
check leaves out one model at a time, with all its starts, because starts of one model resemble each
other.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.errors import DataError
from boute.least_squares import non_negative
from boute.startup.model import (
    MODELLED,
    STEP_TERMS,
    TERMS,
    Features,
    LeaveOneOut,
    Modelled,
    StartupFit,
    StepFit,
)

__all__ = ["MeasuredStart", "fit_starts", "leave_one_out"]

Floats = NDArray[np.float64]
FEWEST_MODELS: Final = 3
TINY: Final = 1e-9  # seconds a unit: rounding


@dataclass(frozen=True)
class MeasuredStart:
    """One start: what was started, seconds of the steps that are known, and of the whole."""

    name: str
    model: str
    device: str
    engine: str
    features: Features
    steps: dict[Modelled, float]
    total_s: float


def fit_starts(starts: Sequence[MeasuredStart], *, source: str) -> StartupFit:
    """Fit all steps, with residuals and leave-one-out errors; raise DataError for too few models.

    The starts should be of one device and one version of the engine.
    """
    models = sorted({start.model for start in starts})
    if len(models) < FEWEST_MODELS:
        raise DataError(
            f"{len(models)} models do not tell what a start depends on",
            mend=f"measure starts of at least {FEWEST_MODELS} models that differ in size",
        )
    checked = leave_one_out(starts)
    return StartupFit(
        device=starts[0].device,
        engine=starts[0].engine,
        made_on=datetime.date.today(),
        source=source,
        starts=len(starts),
        models=len(models),
        steps=_fit_steps(starts),
        error=max(checked.mean_error, 1e-3),
        error_source=f"mean over {len(starts)} starts, each model left out in turn",
        left_out=checked,
    )


def leave_one_out(starts: Sequence[MeasuredStart]) -> LeaveOneOut:
    """How far off the whole is, each model predicted by the others."""
    errors: list[tuple[float, str]] = []
    for model in sorted({start.model for start in starts}):
        steps = _fit_steps([start for start in starts if start.model != model])
        for start in starts:
            if start.model == model:
                seconds = sum(step.seconds(start.features) for step in steps.values())
                errors.append((abs(seconds - start.total_s) / start.total_s, start.name))
    worst, name = max(errors)
    mean = float(np.mean([error for error, _ in errors]))
    return LeaveOneOut(mean_error=_round(mean), worst_error=_round(worst), worst_start=name)


def _fit_steps(starts: Sequence[MeasuredStart]) -> dict[Modelled, StepFit]:
    steps = {}
    for step in MODELLED:
        known = [start for start in starts if step in start.steps]
        if known:
            steps[step] = _fit_step(step, known)
    return _with_tokenizer(steps)


def _fit_step(step: Modelled, starts: Sequence[MeasuredStart]) -> StepFit:
    terms = STEP_TERMS[step]
    rows = np.array([[TERMS[term](start.features) for term in terms] for start in starts])
    seconds = np.array([start.steps[step] for start in starts])
    found = non_negative(rows, seconds)
    left = float(np.sqrt(np.mean((rows @ found - seconds) ** 2)))
    kept = {term: _round(value) for term, value in zip(terms, found, strict=True) if value > TINY}
    return StepFit(terms=kept, residual_s=_round(left))


def _with_tokenizer(steps: dict[Modelled, StepFit]) -> dict[Modelled, StepFit]:
    """Book what grows with the tokenizer's file in other steps as the tokenizer's own."""
    before = steps.get("tokenizer")
    own = dict(before.terms) if before else {}
    for step in (step for step in MODELLED if step in steps and step != "tokenizer"):
        terms = dict(steps[step].terms)
        moved = terms.pop("tokenizer_mb", 0.0)
        if moved:
            own["tokenizer_mb"] = _round(own.get("tokenizer_mb", 0.0) + moved)
        steps[step] = steps[step].model_copy(update={"terms": terms})
    if own:
        steps["tokenizer"] = StepFit(terms=own, residual_s=before.residual_s if before else None)
    return {step: steps[step] for step in MODELLED if step in steps}


def _round(value: float | np.floating) -> float:
    return float(f"{value:.4g}")
