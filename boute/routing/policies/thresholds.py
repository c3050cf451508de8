"""Thresholds on the score: the harder a query looks, the dearer the model that answers it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from boute.routing.policies.evidence import Evidence
from boute.routing.policies.policy import Bools, Queries
from boute.routing.thresholds import ALL, NONE, route, thresholds_for
from boute.workload.arrays import Floats, Ints

__all__ = ["Thresholds"]


class Thresholds:
    """The policy whose setting are ascending thresholds [K - 1] (`boute.routing.thresholds`)."""

    def __init__(self, evidence: Evidence) -> None:
        self._score = evidence.score

    def setting_for(self, fractions: Sequence[float] | Floats) -> Floats:
        """Quantiles of the score at the cumulated fractions."""
        return thresholds_for(self._score, fractions)

    def answers(self, setting: Sequence[float] | Floats) -> Ints:
        """Index [M] of the model that takes each score."""
        return route(self._score, setting)

    def asked(self, setting: Sequence[float] | Floats) -> Bools:
        """Who answers, and nobody else [M, K]."""
        return np.asarray(self.answers(setting)[:, None] == np.arange(len(setting) + 1))

    def closed(self, setting: Floats, loads: Floats) -> Floats:
        """The scores of a model without load go to the next dearer one that has some."""
        served = np.flatnonzero(loads > 0.0)
        closed = setting.copy()
        for model in range(len(closed)):
            if model >= served[-1]:
                closed[model] = ALL
            elif loads[model] == 0.0:
                closed[model] = closed[model - 1] if model > 0 else NONE
        return closed

    def part(self, setting: Sequence[float] | Floats, model: int) -> tuple[float, ...]:
        """The scores that the model takes: the lower bound, which is left out, and the upper."""
        above = setting[model - 1] if model > 0 else -np.inf
        return above, setting[model] if model < len(setting) else np.inf

    def queries(self, part: tuple[float, ...], model: int) -> Queries:
        """The queries between two scores."""
        above, up_to = part
        mine = (self._score > above) & (self._score <= up_to)
        return Queries(mine, mine, streams=True)
