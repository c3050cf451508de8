"""How good a score is at routing between two models, in the measures of RouteLLM.

With a share c of the queries sent to the stronger model, the performance gap recovered is
PGR(c) = (quality(c) - quality(weak)) / (quality(strong) - quality(weak)); APGR is its mean over c
from 0 to 1, and CPT(x) the least c with PGR(c) >= x (Ong et al., RouteLLM, arXiv 2406.18665). A
random score has an APGR of 0.5.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.routing.table import QualityTable
from boute.workload.arrays import Floats

__all__ = ["PairReport", "router_report"]

SHUFFLES: Final = 200
_SHUFFLE_SEED: Final = 0


@dataclass(frozen=True)
class PairReport:
    """A score as a router between two models.

    `random_sd` is the standard deviation of the APGR of a random score on these rows; `oracle` the
    APGR of knowing both qualities in advance. `cpt_50` and `cpt_80` are shares in [0, 1].
    """

    weak: str
    strong: str
    weak_quality: float
    strong_quality: float
    apgr: float
    cpt_50: float
    cpt_80: float
    oracle: float
    random_sd: float


def router_report(
    table: QualityTable, score: Floats, cost_order: Sequence[int]
) -> list[PairReport]:
    """A report for each neighbouring pair in cost order, and for the cheapest and the dearest.

    `score` [M] should be held out. A pair whose dearer model is no better has no gap to recover
    and is left out.
    """
    pairs = list(itertools.pairwise(cost_order))
    if len(cost_order) > 2:
        pairs.append((cost_order[0], cost_order[-1]))
    quality = table.quality.mean(axis=0)
    return [
        _report(table, score, weak, strong)
        for weak, strong in pairs
        if quality[strong] > quality[weak]
    ]


def _report(table: QualityTable, score: Floats, weak: int, strong: int) -> PairReport:
    gain = table.quality[:, strong] - table.quality[:, weak]
    share, pgr = _pgr_curve(gain, score)
    rng = np.random.default_rng(_SHUFFLE_SEED)
    random = [_area(*_pgr_curve(gain, rng.random(len(gain)))) for _ in range(SHUFFLES)]
    quality = table.quality.mean(axis=0)
    return PairReport(
        weak=table.models[weak],
        strong=table.models[strong],
        weak_quality=float(quality[weak]),
        strong_quality=float(quality[strong]),
        apgr=_area(share, pgr),
        cpt_50=_first_share(share, pgr, 0.5),
        cpt_80=_first_share(share, pgr, 0.8),
        oracle=_area(*_pgr_curve(gain, gain)),
        random_sd=float(np.std(random)),
    )


def _pgr_curve(gain: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Shares of the queries sent to the stronger model, hardest first, and the PGR at each.

    Only shares that a threshold can realise are points; between them the curve is a line, which is
    what sending a random part of a run of equal scores would give.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1) + 1
    recovered = np.cumsum(gain[order])[ends - 1] / gain.sum()
    return np.append(0.0, ends / len(score)), np.append(0.0, recovered)


def _area(share: Floats, pgr: Floats) -> float:
    return float(np.trapezoid(pgr, share))


def _first_share(share: Floats, pgr: Floats, level: float) -> float:
    """The least share at which the piecewise linear curve reaches `level`."""
    end = int(np.argmax(pgr >= level))
    start = end - 1
    step = (level - pgr[start]) / (pgr[end] - pgr[start])
    return float(share[start] + step * (share[end] - share[start]))
