"""The analytic estimate of a decision: what an evaluation will say, in microseconds.

Every metric, from the formulas of `boute.optimizer.fidelity.steady`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.context import Context
from boute.metrics import LATENCIES, latency_metric
from boute.migration import Migration
from boute.optimizer.fidelity.part import Part, PartKey, merged, sums_of
from boute.optimizer.fidelity.steady import SteadyParts
from boute.optimizer.options import OptionTable
from boute.optimizer.robustness import CONFIDENCE
from boute.plan.decision import Decision
from boute.plan.model import Routing
from boute.routing.expected import Interval
from boute.workload.arrays import Floats

__all__ = ["Estimate", "Estimator"]

_QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimated value of every metric that outcomes tell, and the busiest pool's utilisation."""

    metrics: dict[str, float]
    utilisation: float


class Estimator:
    """Estimates decisions for one context and option table."""

    def __init__(self, context: Context, table: OptionTable) -> None:
        self._context = context
        self._table = table
        self._parts = SteadyParts(context, table, LATENCIES)
        self._migration = Migration(context)
        self._quality: dict[tuple[tuple[float, ...], float], Interval] = {}
        self._robust = context.spec.search.robust

    def quality(self, decision: Decision) -> Interval:
        """Expected quality of a decision with its 95% interval."""
        return self.quality_of(decision.routing)

    def quality_of(self, routing: Routing, confidence: float = 0.95) -> Interval:
        """Expected quality under a routing with its interval: exact, not an estimate."""
        key = routing.setting, confidence
        if key not in self._quality:
            self._quality[key] = self._context.expected(routing, confidence)
        return self._quality[key]

    def judged_quality(self, routing: Routing) -> float:
        """The quality that a plan with this routing counts for."""
        if self._robust:
            return self.quality_of(routing, CONFIDENCE).low
        return self.quality_of(routing).mean

    def estimate(self, decision: Decision) -> Estimate:
        """Estimate every metric of a decision whose pools are options of the table."""
        routing, source = decision.routing, self._parts
        policy, is_cascade = self._context.policy, routing.policy == "cascade"
        parts: list[Part] = []
        for index, name in enumerate(routing.models):
            pools = [pool for pool in decision.pools if pool.model == name]
            placed = [(self._table.index[self._table.option(p)], p.replicas) for p in pools]
            weights = np.array([pool.weight for pool in pools])
            if pools:
                key = PartKey(index, policy.part(routing.setting, index), tuple(placed))
                before = parts[-1] if is_cascade and parts else None
                parts.append(source.of_pools(key, weights, routing.asked[index], before))
        whole = merged(parts)
        price = sum(self._table.option(p).price_per_hour * p.replicas for p in decision.pools)
        rate_per_s = self._context.workload.rate_per_s
        metrics = self._latencies(whole.latencies)
        metrics |= sums_of([whole], source, price_per_hour=price, rate_per_s=rate_per_s)
        metrics |= {"quality": self.judged_quality(routing)} | self._migration.metrics(decision)
        return Estimate(metrics, whole.utilisation)

    def _latencies(self, values: dict[str, Floats]) -> dict[str, float]:
        found: dict[str, float] = {}
        for latency, value in values.items():
            found[latency_metric(latency, "mean")] = float(value.mean())
            # Nearest ranks of one sort: ten times faster than interpolated percentiles.
            ranked = np.sort(value)
            for statistic, quantile in _QUANTILES.items():
                found[latency_metric(latency, statistic)] = float(
                    ranked[min(int(quantile * len(ranked)), len(ranked) - 1)]
                )
        return found
