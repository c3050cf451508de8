"""The answer quality that a routing gives, over the rows of a quality table."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from boute.workload.arrays import Floats, Ints

__all__ = ["Interval", "expected_quality"]


class Interval(NamedTuple):
    """A mean with its confidence interval, all in [0, 1]."""

    mean: float
    low: float
    high: float


def expected_quality(quality: Floats, answers: Ints, confidence: float = 0.95) -> Interval:
    """Mean quality of the answers given: `quality` [M, K], and the place of each one's model [M].

    The interval is Wilson's score interval (Brown, Cai and DasGupta, Statistical Science 2001) at
    the effective sample size p (1 - p) / Var(mean) (Korn and Graubard, Survey Methodology 1998):
    for right-or-wrong quality that is the number of rows, for graded quality more. It covers which
    queries came into the table, taking the routing as it is.
    """
    answered = quality[np.arange(len(quality)), answers]
    mean = float(answered.mean())
    variance = float(answered.var())
    spread = mean * (1.0 - mean)
    rows = len(answered) * max(spread / variance, 1.0) if variance > 0 else len(answered)
    z = NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    centre = (mean + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z / (1 + z**2 / rows) * math.sqrt(spread / rows + z**2 / (4 * rows**2))
    return Interval(mean, max(centre - half, 0.0), min(centre + half, 1.0))
