"""A router whose predicted qualities are calibrated on rows that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from boute.errors import DataError
from boute.routing.evaluation.judged import judge
from boute.routing.evaluation.recalibrate import calibrated, fit_calibration
from boute.routing.evaluation.reliability import Reliability, reliability
from boute.routing.evaluation.splits import fold_of_rows
from boute.routing.router import Router
from boute.routing.table import QualityTable
from boute.workload.arrays import Floats

__all__ = ["LEAST_ROWS", "Calibrated", "calibrate"]

LEAST_ROWS: Final = 50
_FOLDS: Final = 5


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibrated router, and how calibrated it is: `before` and `after` [K] are of the same rows.

    After is cross-fitted: a fifth of the groups of near-duplicates at a time is judged by lines
    fitted on the others. The router has lines of all rows. `left_out` had been fitted on.
    """

    router: Router
    rows: int
    left_out: int
    before: tuple[Reliability, ...]
    after: tuple[Reliability, ...]


def calibrate(router: Router, table: QualityTable, seed: int = 0) -> Calibrated:
    """Calibrate on the rows of a table that the router was not fitted on.

    Lines that it has are replaced. Raise DataError where fewer than LEAST_ROWS such rows are left,
    or what judging raises.
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
    predicted, quality = judged.prediction.quality, judged.quality
    fold = fold_of_rows(judged.groups, _FOLDS, seed)
    after = np.empty_like(predicted)
    for number in range(_FOLDS):
        rows, others = fold == number, fold != number
        after[rows] = calibrated(
            predicted[rows], fit_calibration(predicted[others], quality[others])
        )
    return Calibrated(
        router=replace(router, calibration=fit_calibration(predicted, quality)),
        rows=len(kept),
        left_out=len(table) - len(kept),
        before=_each(calibrated(predicted, router.calibration), quality),
        after=_each(after, quality),
    )


def _each(predicted: Floats, quality: Floats) -> tuple[Reliability, ...]:
    return tuple(reliability(p, q) for p, q in zip(predicted.T, quality.T, strict=True))
