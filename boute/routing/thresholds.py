"""Thresholds on the score, stated as the share of the queries that each model takes.

Scores are in [0, 1] and higher is harder. Models are in cost order, cheapest first: a query goes
to the first model i with score <= thresholds[i], and to the last when there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from boute.workload.arrays import Floats, Ints

__all__ = ["ALL", "NONE", "realised_fractions", "route", "thresholds_for"]

# Finite, so that plans can hold them: no score is at or below NONE, every score is at most ALL.
NONE: Final = -1.0
ALL: Final = 1.0


def route(score: Floats, thresholds: Sequence[float] | Floats) -> Ints:
    """Index [N] into the cost order for scores [N] and ascending thresholds [K - 1]."""
    return np.searchsorted(np.asarray(thresholds, dtype=np.float64), score, side="left")


def thresholds_for(score: Floats, fractions: Sequence[float] | Floats) -> Floats:
    """Thresholds [K - 1] that give the K models these shares of the scores [M].

    Thresholds are quantiles of the score at the cumulated fractions. Each share is met to the
    nearest row; equal scores cannot be told apart and go to one model, on the nearer side. A
    model with fraction 0 gets nothing, whatever scores come later. Raise ValueError unless the
    fractions are a point of the simplex.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.min() < 0 or abs(shares.sum() - 1.0) > 1e-6:
        raise ValueError("fractions are not negative and sum to 1")
    ordered: Floats = np.sort(score)
    rows = len(ordered)
    wanted = np.rint(np.cumsum(shares / shares.sum())[:-1] * rows).astype(np.int64).clip(0, rows)
    # Candidates on both sides of a run of equal scores: all below it, or all up to its end.
    at = ordered[np.maximum(wanted - 1, 0)]
    below = np.searchsorted(ordered, at, side="left")
    up_to = np.searchsorted(ordered, at, side="right")
    taken = np.where(wanted - below < up_to - wanted, below, up_to)
    taken[wanted == 0] = 0
    thresholds: Floats = ordered[np.maximum(taken - 1, 0)]
    thresholds[taken == 0] = NONE
    thresholds[taken == rows] = ALL
    return thresholds


def realised_fractions(score: Floats, thresholds: Sequence[float] | Floats) -> Floats:
    """Share [K] of the scores [M] that each model takes."""
    counts: Ints = np.bincount(route(score, thresholds), minlength=len(thresholds) + 1)
    return np.asarray(counts / len(score))
