"""What is predicted or measured of a plan, for the fleet and for each of its pools."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from boute.documents import Document
from boute.metrics import METRICS, MIGRATION, is_maximised

__all__ = ["Latency", "Outcome", "PoolOutcome", "Ready", "Robustness", "Verdict"]

Verdict = Literal["stable", "strained", "unstable"]
Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Latency(Document):
    """Mean and percentiles of one latency over the requests, in seconds."""

    mean: Seconds
    p50: Seconds
    p90: Seconds
    p95: Seconds
    p99: Seconds


class Ready(Document):
    """Seconds from the command that starts a replica until it answers.

    `warm_s` with code that an earlier start has compiled, `cold_s` without; `error` is the relative
    error to expect of both.
    """

    warm_s: Seconds
    cold_s: Seconds
    error: Annotated[float, Field(gt=0)]


class PoolOutcome(Document):
    """What one pool does: its share, its load and its verdict.

    `utilisation` is the offered load over what the pool can carry, `kv_peak` the highest share of
    its KV cache in use. `ready` is None where nothing is known of starts on the GPU type.
    """

    pool: str
    model: str
    gpu: str
    requests: int
    utilisation: float
    kv_peak: float
    preemptions: int
    ttft: Latency
    tpot: Latency
    e2e: Latency
    energy_j: float
    verdict: Verdict
    ready: Ready | None = None


class Robustness(Document):
    """What becomes of a plan when its workload and quality table are drawn again.

    `intervals` are [low, high] by metric, with the `confidence` that another draw falls within.
    `unstable` and `keeps_targets` are the shares of the draws, the workload as it is among them, in
    which the plan does not drain its queues, and in which it does and meets every target. As it is,
    `load_margin` 0.3 says that the plan does so up to 1.3 times the load, and `load_limit` what it
    misses beyond: `stability`, or a target by name. Both are None where nobody asked.
    """

    resamples: Annotated[int, Field(ge=0)]
    confidence: Share
    intervals: dict[str, tuple[float, float]]
    unstable: Share
    keeps_targets: Share
    load_margin: Annotated[float, Field(ge=0)] | None = None
    load_limit: str | None = None


class Outcome(Document):
    """What a fleet does with a workload.

    `quality` is the mean over held-out rows of the quality table under the plan's routing, with a
    95% interval; latencies are over requests; `goodput_per_s` counts requests that meet every
    latency target; `utilisation` is that of the busiest pool. `latency_error` is the stated
    relative error of the performance model for the GPUs used (the largest of them), `energy_error`
    that of `energy_j_per_token` given the times; 0 in outcomes that do not tell. Tokens in
    `cost_per_million_tokens` and `energy_j_per_token` are generated ones. `moved_gpus` and
    `migration_s` say how far the fleet is from the one that runs, None where none is known.
    `thinning_error` has the half-width of a 95% interval, by metric and in its unit, where the
    trace was thinned; metrics that thinning leaves alone are not in it. `robustness` is None where
    the plan was simulated on its workload alone.
    """

    requests: int
    failed: int
    duration_s: float
    quality: Share
    quality_low: float
    quality_high: float
    ttft: Latency
    tpot: Latency
    e2e: Latency
    queue: Latency
    goodput_per_s: float
    slo_attainment: Share
    utilisation: float
    preemptions: int
    cost_per_hour: float
    cost_per_million_tokens: float
    energy_j_per_token: float
    latency_error: float
    energy_error: float = 0.0
    moved_gpus: Annotated[int, Field(ge=0)] | None = None
    migration_s: Seconds | None = None
    verdict: Verdict
    pools: list[PoolOutcome]
    thinning_error: dict[str, float] = Field(default_factory=dict)
    robustness: Robustness | None = None

    def value(self, metric: str) -> float:
        """Value of a metric by its name in `boute.metrics`.

        Raises KeyError for another name, and for a metric that the outcome does not tell.
        """
        if metric not in METRICS or not self._tells(metric):
            raise KeyError(metric)
        if metric in type(self).model_fields:
            return float(getattr(self, metric))
        latency, statistic, _ = metric.split("_")
        return float(getattr(getattr(self, latency), statistic))

    def interval(self, metric: str) -> tuple[float, float]:
        """Interval of a metric; its value twice where none is known."""
        value = self.value(metric)
        known = self.robustness.intervals if self.robustness is not None else {}
        return known.get(metric, (value, value))

    def pessimistic(self, metric: str) -> float:
        """The worse end of a metric's interval; its value where none is known."""
        low, high = self.interval(metric)
        return low if is_maximised(metric) else high

    def values(self) -> dict[str, float]:
        """Value of every metric that the outcome tells."""
        return {metric: self.value(metric) for metric in METRICS if self._tells(metric)}

    def _tells(self, metric: str) -> bool:
        return metric not in MIGRATION or getattr(self, metric) is not None
