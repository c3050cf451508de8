"""Prometheus metrics of one ingress replica, named as vLLM 0.29 names its own, with `boute_`.

What vLLM counts keeps vLLM's name, unit and buckets (vllm/v1/metrics/loggers.py), seen from the
ingress: latencies hold the way to the replica and back, and failed attempts before the last. What
only a router knows is added. The engines' own metrics are theirs and are not repeated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from boute.deployments.live import LiveConfig
from boute.deployments.record import Discarded, Escalation, Outcome, RequestRecord
from boute.deployments.scores import ScoreHistogram

__all__ = ["IngressMetrics"]

# Of vLLM 0.29.
_TTFT_BUCKETS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_TPOT_BUCKETS: Final = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0),
)
_E2E_BUCKETS: Final = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
# Of our own: a score is in [0, 1], and choosing should take well under a millisecond.
_SCORE_BUCKETS: Final = tuple(round(0.05 * step, 2) for step in range(1, 21))
_ROUTING_BUCKETS: Final = (
    *(10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 300e-6, 400e-6, 500e-6, 750e-6),
    *(0.001, 0.002, 0.005, 0.01, 0.1),
)

_PLAN: Final = ("replica", "plan")
_POOL: Final = ("replica", "model", "pool", "plan")
_FAILURES: Final[tuple[Outcome, ...]] = ("client_error", "engine_error", "timeout", "cancelled")


@dataclass(frozen=True, slots=True)
class _Series:
    """The series of one model, pool and plan, looked up once."""

    running: Gauge
    ttft: Histogram
    tpot: Histogram
    e2e: Histogram
    success: Counter
    failure: dict[Outcome, Counter]
    goodput: Counter
    prompt_tokens: Counter
    generation_tokens: Counter


class IngressMetrics:
    """The metrics of one ingress replica, in a registry of its own.

    Where there is more than one replica, `replica` tells them apart, because a scrape of the
    ingress reaches one of them. `scores` counts scores more finely. Runs on the event loop of the
    ingress.
    """

    def __init__(self, replica: str = "") -> None:
        self._replica = replica
        self._registry = CollectorRegistry()
        self._series: dict[tuple[str, str, str], _Series] = {}
        self._models: dict[tuple[str, str], str] = {}
        self._limits: dict[str, dict[str, float]] = {}
        self.scores = ScoreHistogram(replica)
        self._define_requests()
        self._define_routing()

    def _define_requests(self) -> None:
        self._running = self._gauge("boute_num_requests_running", "Requests with the pool.", _POOL)
        self._ttft = self._histogram(
            "boute_time_to_first_token_seconds",
            "From arrival to the first token, streamed requests.",
            _POOL,
            _TTFT_BUCKETS,
        )
        self._tpot = self._histogram(
            "boute_request_time_per_output_token_seconds",
            "Mean time a token after the first, a request, streamed requests.",
            _POOL,
            _TPOT_BUCKETS,
        )
        self._e2e = self._histogram(
            "boute_e2e_request_latency_seconds",
            "From arrival to the end of the answer, requests answered in full.",
            _POOL,
            _E2E_BUCKETS,
        )
        self._success = self._counter("boute_request_success", "Requests answered in full.", _POOL)
        self._failure = self._counter(
            "boute_request_failure",
            "Requests that had a pool and were not answered in full.",
            (*_POOL, "outcome"),
        )
        self._goodput = self._counter(
            "boute_goodput", "Requests answered in full within the plan's SLOs.", _POOL
        )
        self._prompt_tokens = self._counter("boute_prompt_tokens", "Tokens of prompts.", _POOL)
        self._generation_tokens = self._counter(
            "boute_generation_tokens", "Tokens generated.", _POOL
        )

    def _define_routing(self) -> None:
        self._score = self._histogram(
            "boute_score", "Score of a query, higher for harder.", _PLAN, _SCORE_BUCKETS
        )
        self._routing = self._histogram(
            "boute_routing_seconds", "Time to choose model and pool.", _PLAN, _ROUTING_BUCKETS
        )
        self._fallback = self._counter(
            "boute_fallback",
            "Requests that moved to another pool before their first byte.",
            ("replica", "from_pool", "to_pool", "plan"),
        )
        self._escalation = self._counter(
            "boute_escalation",
            "Queries that went on to a larger model of a cascade.",
            ("replica", "model", "plan", "reason"),
        )
        self._confidence = self._histogram(
            "boute_confidence",
            "Confidence of the answers that a cascade has checked.",
            ("replica", "model", "plan"),
            _SCORE_BUCKETS,
        )
        self._discarded_tokens = self._counter(
            "boute_discarded_tokens", "Tokens generated for answers that were not given.", _POOL
        )
        self._refused = self._counter(
            "boute_refused", "Requests turned away.", ("replica", "reason")
        )
        self._quality = self._gauge(
            "boute_quality_estimate", "Mean quality that the plan is expected to give.", _PLAN
        )
        self._cost = self._gauge("boute_cost_per_hour", "US dollars an hour for a pool.", _POOL)

    def _gauge(self, name: str, text: str, labels: Sequence[str]) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _histogram(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> Histogram:
        return Histogram(name, text, labels, registry=self._registry, buckets=buckets)

    def reconfigure(self, live: LiveConfig) -> None:
        """Take over another plan: its gauges replace the old ones, counters go on."""
        self._limits[live.plan] = live.request_limits
        self.scores.reconfigure(live)
        self._quality.clear()
        self._quality.labels(self._replica, live.plan).set(live.quality)
        self._cost.clear()
        for pool in live.pools:
            labels = (self._replica, pool.model, pool.name, live.plan)
            self._cost.labels(*labels).set(pool.price_per_hour)
            # There with 0 before the first request, because a rate needs two points.
            self._of(pool.model, pool.name, live.plan)
            if live.routing.policy == "cascade":
                self._discarded_tokens.labels(*labels)
                for reason in get_args(Escalation):
                    self._escalation.labels(self._replica, pool.model, live.plan, reason)

    def routed(self, plan: str, score: float | None, seconds: float) -> None:
        """A query got its model and pool, which took `seconds`; `score` None when it had none."""
        self._routing.labels(self._replica, plan).observe(seconds)
        if score is not None:
            self._score.labels(self._replica, plan).observe(score)
            self.scores.observe(plan, score)

    def started(self, model: str, pool: str, plan: str) -> None:
        """A request got its pool. `finished` has to follow once, with the pool that had it last."""
        self._of(model, pool, plan).running.inc()

    def fallback(self, from_pool: str, to_pool: str, plan: str) -> None:
        """A request that had started moves to another pool, because the first failed it."""
        self._fallback.labels(self._replica, from_pool, to_pool, plan).inc()
        self.moved(from_pool, to_pool, plan)

    def moved(self, from_pool: str, to_pool: str, plan: str) -> None:
        """A request that had started is another pool's from now on."""
        self._of(self._models[from_pool, plan], from_pool, plan).running.dec()
        self._of(self._models[to_pool, plan], to_pool, plan).running.inc()

    def escalated(self, model: str, pool: str, plan: str, reason: Escalation) -> None:
        """A request leaves its pool for a larger model. `started` has to follow."""
        self._escalation.labels(self._replica, model, plan, reason).inc()
        self._of(model, pool, plan).running.dec()

    def first_token(self, model: str, pool: str, plan: str, ttft_s: float) -> None:
        """The first token of a streamed answer, `ttft_s` after the request arrived."""
        self._of(model, pool, plan).ttft.observe(ttft_s)

    def finished(self, record: RequestRecord) -> None:
        """A request is over. What was refused is counted by `refused`, not here."""
        for answer in record.discarded:
            self._discard(answer, record.plan)
        if record.model is None or record.pool is None or record.outcome == "refused":
            return
        series = self._of(record.model, record.pool, record.plan)
        series.running.dec()
        if record.outcome != "ok":
            series.failure[record.outcome].inc()
            return
        series.success.inc()
        series.e2e.observe(record.e2e_s)
        if record.tpot_s is not None:
            series.tpot.observe(record.tpot_s)
        if record.confidence is not None:
            self._confidence.labels(self._replica, record.model, record.plan).observe(
                record.confidence
            )
        series.prompt_tokens.inc(record.input_tokens or 0)
        series.generation_tokens.inc(record.output_tokens or 0)
        if record.within(self._limits.get(record.plan, {})):
            series.goodput.inc()

    def _discard(self, answer: Discarded, plan: str) -> None:
        labels = (self._replica, answer.model, answer.pool, plan)
        self._discarded_tokens.labels(*labels).inc(answer.output_tokens or 0)
        if answer.confidence is not None:
            self._confidence.labels(self._replica, answer.model, plan).observe(answer.confidence)

    def refused(self, reason: str) -> None:
        """A request is turned away; `reason` is one of a few fixed words."""
        self._refused.labels(self._replica, reason).inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)

    def _of(self, model: str, pool: str, plan: str) -> _Series:
        key = (model, pool, plan)
        found = self._series.get(key)
        if found is None:
            self._models[pool, plan] = model
            found = self._series[key] = self._make(key)
        return found

    def _make(self, key: tuple[str, str, str]) -> _Series:
        labels = (self._replica, *key)
        return _Series(
            running=self._running.labels(*labels),
            ttft=self._ttft.labels(*labels),
            tpot=self._tpot.labels(*labels),
            e2e=self._e2e.labels(*labels),
            success=self._success.labels(*labels),
            failure={name: self._failure.labels(*labels, name) for name in _FAILURES},
            goodput=self._goodput.labels(*labels),
            prompt_tokens=self._prompt_tokens.labels(*labels),
            generation_tokens=self._generation_tokens.labels(*labels),
        )
