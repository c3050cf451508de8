"""Scores that an ingress replica has seen, counted in narrow bins for `boute router drift`.

Prometheus keeps a coarse histogram of them too (`boute_score`). This one is fine enough to tell
what other thresholds would do, and says which routing the scores came under.
"""

from __future__ import annotations

import math
from typing import Any, Final

from boute.deployments.live import LiveConfig
from boute.plan.model import Routing

__all__ = ["BINS", "ScoreHistogram"]

BINS: Final = 200


class ScoreHistogram:
    """Counts of scores in [0, 1] by plan. Runs on the event loop of the ingress."""

    def __init__(self, replica: str = "") -> None:
        self._replica = replica
        self._routing: dict[str, Routing] = {}
        self._counts: dict[str, list[int]] = {}

    def reconfigure(self, live: LiveConfig) -> None:
        """Take over another plan, which is the last one from now on; counts of others stay.

        A plan that comes back with another routing starts anew.
        """
        known = self._routing.pop(live.plan, None)
        if known != live.routing:
            self._counts[live.plan] = [0] * BINS
        self._routing[live.plan] = live.routing

    def observe(self, plan: str, score: float) -> None:
        """Count a score: bin i holds (i / BINS, (i + 1) / BINS]."""
        counts = self._counts.get(plan)
        if counts is not None:
            counts[min(max(math.ceil(score * BINS) - 1, 0), BINS - 1)] += 1

    def data(self) -> dict[str, Any]:
        """Everything as plain data, as `boute.routing.evaluation.score_log` reads it."""
        plans = [
            {
                "plan": name,
                "models": routing.models,
                # Those of a cascade do not cut scores.
                "thresholds": routing.thresholds if routing.policy == "thresholds" else [],
                "fractions": routing.fractions,
                "counts": self._counts[name],
            }
            for name, routing in self._routing.items()
        ]
        return {"replica": self._replica, "plans": plans}
