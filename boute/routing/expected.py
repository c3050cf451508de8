"""The answer quality that a routing gives, over the rows of a quality table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from boute.routing.thresholds import route
from boute.workload.arrays import Floats

__all__ = ["Interval", "expected_quality"]

Z_95: Final = 1.959963984540054


class Interval(NamedTuple):
    """A mean with its 95% confidence interval, all in [0, 1]."""

    mean: float
    low: float
    high: float


def expected_quality(
    quality: Floats, score: Floats, thresholds: Sequence[float] | Floats
) -> Interval:
    """Mean quality of the routed answers; `quality` [M, K] in cost order, `score` [M] held out.

    The interval is Wilson's score interval (Brown, Cai and DasGupta, Statistical Science 2001) at
    the effective sample size p (1 - p) / Var(mean) (Korn and Graubard, Survey Methodology 1998):
    for right-or-wrong quality that is the number of rows, for graded quality more. It covers which
    queries came into the table, taking the score and the thresholds as they are.
    """
    answered = quality[np.arange(len(quality)), route(score, thresholds)]
    mean = float(answered.mean())
    variance = float(answered.var())
    spread = mean * (1.0 - mean)
    rows = len(answered) * max(spread / variance, 1.0) if variance > 0 else len(answered)
    centre = (mean + Z_95**2 / (2 * rows)) / (1 + Z_95**2 / rows)
    half = Z_95 / (1 + Z_95**2 / rows) * math.sqrt(spread / rows + Z_95**2 / (4 * rows**2))
    return Interval(mean, max(centre - half, 0.0), min(centre + half, 1.0))
