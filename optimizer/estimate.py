"""The analytic estimate of a decision: what an evaluation will say, in microseconds.

Each pool is taken to be in the steady state that its share of the load leads to, and a sample of
the workload's requests is given the latencies of its pool. Bursts, preemptions and transients are
left to the simulator; the search learns how the two differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.context import Context
from boute.metrics import latency_metric
from boute.migration import Migration
from boute.optimizer.options import Option, OptionTable
from boute.optimizer.robustness import CONFIDENCE
from boute.plan.decision import Decision
from boute.plan.model import Pool, Routing
from boute.routing.expected import Interval, expected_quality
from boute.routing.thresholds import route
from boute.workload.arrays import Floats, Ints, Workload

__all__ = ["GOLDEN", "Estimate", "Estimator", "sample_of", "share_of_mean"]

# Requests whose latencies are estimated: enough for a P99 to mean something.
SAMPLE: Final = 512

_QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
GOLDEN: Final = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimated value of every metric that outcomes tell, and the busiest pool's utilisation."""

    metrics: dict[str, float]
    utilisation: float


@dataclass(frozen=True, eq=False)
class _PoolState:
    ttft_s: float
    tpot_s: float
    utilisation: float
    watts: float


class Estimator:
    """Estimates decisions for one context and option table."""

    def __init__(self, context: Context, table: OptionTable) -> None:
        self._context = context
        self._table = table
        workload = context.workload
        self._mean_of_peak = workload.rate_per_s / workload.peak_rate_per_s
        chosen = sample_of(workload)
        self._score = workload.score[chosen]
        self._input = workload.input_tokens[chosen].astype(np.float64)
        self._output = workload.output_tokens[chosen].astype(np.float64)
        # A low-discrepancy sequence deals the sample out to pools in proportion to their weights.
        self._deal = (np.arange(len(chosen)) * GOLDEN) % 1.0
        self._migration = Migration(context)
        self._quality: dict[tuple[tuple[float, ...], float], Interval] = {}
        self._robust = context.spec.search.robust

    def quality(self, decision: Decision) -> Interval:
        """Expected quality of a decision with its 95% interval."""
        return self.quality_of(decision.routing)

    def quality_of(self, routing: Routing, confidence: float = 0.95) -> Interval:
        """Expected quality under a routing with its interval: exact, not an estimate."""
        key = tuple(routing.thresholds), confidence
        if key not in self._quality:
            self._quality[key] = expected_quality(
                self._context.quality, self._context.score, np.array(key[0]), confidence
            )
        return self._quality[key]

    def judged_quality(self, routing: Routing) -> float:
        """The quality that a plan with this routing counts for."""
        if self._robust:
            return self.quality_of(routing, CONFIDENCE).low
        return self.quality_of(routing).mean

    def estimate(self, decision: Decision) -> Estimate:
        """Estimate every metric of a decision whose pools are options of the table."""
        rate, peak = self._context.workload.rate_per_s, self._context.workload.peak_rate_per_s
        model_of = route(self._score, np.array(decision.routing.thresholds))
        ttft = np.zeros(len(self._score))
        tpot = np.zeros(len(self._score))
        busiest = watts = cost_per_hour = 0.0
        for index, name in enumerate(decision.routing.models):
            load = decision.routing.fractions[index] * peak
            low = 0.0
            for pool in (pool for pool in decision.pools if pool.model == name):
                option = self._table.option(pool)
                state = self._state(option, pool, load)
                mine = (model_of == index) & (self._deal >= low) & (self._deal < low + pool.weight)
                ttft[mine] = state.ttft_s * share_of_mean(self._input[mine])
                tpot[mine] = state.tpot_s
                low += pool.weight
                busiest = max(busiest, state.utilisation)
                watts += state.watts
                cost_per_hour += pool.replicas * option.price_per_hour
        output = self._output[np.arange(len(model_of)), model_of]
        e2e = ttft + tpot * (output - 1.0)
        metrics = self._latencies({"ttft": ttft, "tpot": tpot, "e2e": e2e, "queue": 0.1 * ttft})
        tokens_per_s = float(output.mean()) * rate
        met = self._met({"ttft": ttft, "tpot": tpot, "e2e": e2e})
        metrics |= {
            "quality": self.judged_quality(decision.routing),
            "cost_per_hour": cost_per_hour,
            "cost_per_million_tokens": cost_per_hour / 3600.0 / tokens_per_s * 1e6,
            "energy_j_per_token": watts / tokens_per_s,
            "slo_attainment": met,
            "goodput_per_s": met * rate,
        } | self._migration.metrics(decision)
        return Estimate(metrics, busiest)

    def _state(self, option: Option, pool: Pool, load: float) -> _PoolState:
        rate = load * pool.weight / pool.replicas
        steady = option.at_rate(rate)
        utilisation = rate / option.capacity_per_s
        card = self._context.supplies[option.gpu].card
        # Between idle and peak in proportion to the load: a prior, not a prediction.
        mean = utilisation * self._mean_of_peak
        watts = pool.gpus * (card.idle_w + (card.peak_w - card.idle_w) * min(mean, 1.0))
        return _PoolState(steady.ttft_s, steady.tpot_s, utilisation, watts)

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

    def _met(self, values: dict[str, Floats]) -> float:
        met = np.ones(len(self._score), dtype=bool)
        for latency, limit in self._context.spec.targets.request_limits().items():
            met &= values[latency] <= limit
        return float(met.mean())


def sample_of(workload: Workload) -> Ints:
    """Every n-th request, with scores spread as the workload's are."""
    step = max(len(workload) // SAMPLE, 1)
    return np.argsort(workload.score, kind="stable")[step // 2 :: step]


def share_of_mean(tokens: Floats) -> Floats:
    """How a request's TTFT compares with its pool's mean: part waiting, part its own prefill."""
    return 0.3 + 0.7 * tokens / tokens.mean() if len(tokens) else tokens
