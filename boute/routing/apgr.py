"""How good a score is at routing between the models of a table: what a study reports of its router.

The measures are those of `boute.routing.evaluation.curves`; intervals are for `boute router eval`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.routing.evaluation.curves import apgr, cpt, gain_curve
from boute.routing.evaluation.pairs import neighbours
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
    pairs = [(cost_order[weak], cost_order[strong]) for weak, strong in neighbours(len(cost_order))]
    quality = table.quality.mean(axis=0)
    return [
        _report(table, score, weak, strong)
        for weak, strong in pairs
        if quality[strong] > quality[weak]
    ]


def _report(table: QualityTable, score: Floats, weak: int, strong: int) -> PairReport:
    gain = table.quality[:, strong] - table.quality[:, weak]
    curve = gain_curve(gain, score)
    rng = np.random.default_rng(_SHUFFLE_SEED)
    random = [_area(gain, rng.random(len(gain))) for _ in range(SHUFFLES)]
    quality = table.quality.mean(axis=0)
    return PairReport(
        weak=table.models[weak],
        strong=table.models[strong],
        weak_quality=float(quality[weak]),
        strong_quality=float(quality[strong]),
        apgr=float(apgr(curve)[0]),
        cpt_50=float(cpt(curve, 0.5)[0]),
        cpt_80=float(cpt(curve, 0.8)[0]),
        oracle=_area(gain, gain),
        random_sd=float(np.std(random)),
    )


def _area(gain: Floats, score: Floats) -> float:
    return float(apgr(gain_curve(gain, score))[0])
