"""A router whose predictions are calibrated on rows that it was not fitted on.

Qualities get lines on their logits, lengths the residuals of these rows. Scores, and so thresholds,
stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from boute.errors import DataError
from boute.routing.evaluation.judged import Judged, judge
from boute.routing.evaluation.recalibrate import calibrated, fit_calibration
from boute.routing.evaluation.reliability import Reliability, reliability
from boute.routing.evaluation.splits import fold_of_rows
from boute.routing.prediction import Prediction
from boute.routing.router import Router
from boute.routing.spread import Spread, fit_spread
from boute.routing.table import QualityTable
from boute.workload.arrays import Floats, Ints

__all__ = ["LEAST_ROWS", "Calibrated", "calibrate", "cross_calibrated", "reliabilities"]

LEAST_ROWS: Final = 50
_FOLDS: Final = 5


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibrated router, and how calibrated it is: `before` and `after` [K] are of the same rows.

    After is cross-fitted: a fifth of the groups of near-duplicates at a time is judged by what was
    fitted on the others. The router has what all rows give. `left_out` had been fitted on.
    """

    router: Router
    rows: int
    left_out: int
    before: tuple[Reliability, ...]
    after: tuple[Reliability, ...]


def calibrate(router: Router, table: QualityTable, seed: int = 0) -> Calibrated:
    """Calibrate on the rows of a table that the router was not fitted on.

    What it has of an earlier calibration is replaced. Raise DataError where fewer than LEAST_ROWS
    such rows are left, or what judging raises.
    """
    plain = replace(router, calibration=np.tile([1.0, 0.0], (len(router.models), 1)))
    judged = judge(plain, table, {})
    kept = np.flatnonzero(~judged.seen)
    if len(kept) < LEAST_ROWS:
        raise DataError(
            f"has {len(kept)} rows that the router was not fitted on",
            where=table.name,
            mend=f"at least {LEAST_ROWS} are needed: hold some out when training",
        )
    judged = judged.take(kept)
    lines, spread = _fitted(judged, router.spread, np.arange(len(kept)))
    after = cross_calibrated(judged, router.spread, seed)
    return Calibrated(
        router=replace(router, calibration=lines, spread=spread),
        rows=len(kept),
        left_out=len(table) - len(kept),
        before=reliabilities(calibrated(judged.prediction.quality, router.calibration), judged),
        after=reliabilities(after.quality, judged),
    )


def cross_calibrated(judged: Judged, spread: Spread, seed: int = 0) -> Prediction:
    """Predictions with each fifth of the groups calibrated on the other four.

    The prediction in `judged` is of a router without calibration, with this spread.
    """
    fold = fold_of_rows(judged.groups, _FOLDS, seed)
    parts, order = [], []
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        lines, refitted = _fitted(judged, spread, np.flatnonzero(fold != number))
        quality = calibrated(judged.prediction.quality[rows], lines)
        typical = _typical(judged, spread)[rows]
        parts.append(refitted.around(quality, typical, judged.reach[rows]))
        order.append(rows)
    names = ("quality", "quality_sd", "output_tokens", "output_low", "output_high")
    arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return Prediction(*arrays).take(np.argsort(np.concatenate(order)))


def reliabilities(predicted: Floats, judged: Judged) -> tuple[Reliability, ...]:
    """Of predicted qualities [M, K] against those that came."""
    return tuple(reliability(p, q) for p, q in zip(predicted.T, judged.quality.T, strict=True))


def _fitted(judged: Judged, spread: Spread, rows: Ints) -> tuple[Floats, Spread]:
    """Lines and residuals of some rows; lengths keep theirs where the table does not tell them."""
    predicted, quality = judged.prediction.quality[rows], judged.quality[rows]
    lines = fit_calibration(predicted, quality)
    typical = _typical(judged, spread)[rows]
    tokens = typical if judged.output_tokens is None else judged.output_tokens[rows]
    found = fit_spread(calibrated(predicted, lines), quality, typical, tokens, judged.reach[rows])
    if judged.output_tokens is None:
        found = replace(found, low=spread.low, high=spread.high, mean=spread.mean)
    return lines, found


def _typical(judged: Judged, spread: Spread) -> Floats:
    """The typical lengths [M, K] that the predicted means were made from."""
    return judged.prediction.output_tokens / spread.mean
