"""Curves of a score as a router between two models, in the measures of RouteLLM.

With a share c of the queries sent to the stronger model, the performance gap recovered is
PGR(c) = (quality(c) - quality(weak)) / (quality(strong) - quality(weak)); APGR is its mean over c
from 0 to 1, and CPT(x) the least c with PGR(c) >= x (Ong et al., RouteLLM, arXiv 2406.18665,
section 2.2). A random score has an APGR of 0.5 whatever the rows. RouteLLM's code takes ten
points of the curve; here every threshold is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boute.workload.arrays import Floats, Ints

__all__ = ["Curve", "apgr", "cpt", "gain_curve"]


@dataclass(frozen=True, eq=False)
class Curve:
    """Shares [R, B] sent to the stronger model, hardest first, and the quality gained [R, B].

    Gains are in quality a query. The first point is 0 and 0; the last is a share of 1 and the whole
    gap between the models. A column is one weighting of the queries.
    """

    share: Floats
    gain: Floats


def gain_curve(gain: Floats, score: Floats, weights: Floats | None = None) -> Curve:
    """The curve of a score [M], where the stronger model adds `gain` [M]; weights are [M, B].

    Only shares that a threshold can realise are points; between them the curve is a line, which is
    what sending a random part of a run of equal scores would give.
    """
    order, starts = _runs(score)
    ordered = np.ones((len(score), 1)) if weights is None else weights[order]
    share = np.add.reduceat(ordered, starts, axis=0)
    gained = np.add.reduceat(ordered * gain[order, None], starts, axis=0)
    total = share.sum(axis=0)
    return Curve(_from_zero(share) / total, _from_zero(gained) / total)


def apgr(curve: Curve) -> Floats:
    """APGR [B]; NaN where the stronger model is no better."""
    widths = np.diff(curve.share, axis=0)
    area = 0.5 * ((curve.gain[1:] + curve.gain[:-1]) * widths).sum(axis=0)
    return _over(area, curve.gain[-1])


def cpt(curve: Curve, level: float) -> Floats:
    """Least shares [B] of the piecewise linear curves at which PGR reaches `level` in (0, 1].

    NaN where the stronger model is no better.
    """
    wanted = level * curve.gain[-1]
    column = np.arange(len(wanted))
    end = np.argmax(curve.gain >= wanted, axis=0)
    start = np.maximum(end - 1, 0)
    low, high = curve.gain[start, column], curve.gain[end, column]
    left, right = curve.share[start, column], curve.share[end, column]
    step = _over(wanted - low, high - low) * (right - left)
    reached = np.asarray(left + step, dtype=np.float64)
    reached[wanted <= 0] = np.nan
    return reached


def _runs(score: Floats) -> tuple[Ints, Ints]:
    """Rows from the highest score down, and where among them each run of equal scores begins."""
    order = np.argsort(-score, kind="stable")
    return order, np.append(0, np.flatnonzero(np.diff(score[order])) + 1)


def _from_zero(parts: Floats) -> Floats:
    sums = np.zeros((len(parts) + 1, parts.shape[1]))
    np.cumsum(parts, axis=0, out=sums[1:])
    return sums


def _over(above: Floats, below: Floats) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return ratio
