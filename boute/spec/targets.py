"""What a spec asks of a plan."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from boute.documents import Document
from boute.metrics import MIGRATION
from boute.spec.fields import Fraction, Positive

__all__ = ["Targets"]


class Targets(Document):
    """What a plan must meet: SLOs in seconds, a quality floor, and a budget in dollars an hour.

    The last two limit how far it may be from the fleet that runs: GPUs that change hands, and
    seconds until what has to start has started.
    """

    ttft_p50_s: Positive | None = None
    ttft_p90_s: Positive | None = None
    ttft_p95_s: Positive | None = None
    ttft_p99_s: Positive | None = None
    tpot_p50_s: Positive | None = None
    tpot_p90_s: Positive | None = None
    tpot_p95_s: Positive | None = None
    tpot_p99_s: Positive | None = None
    e2e_p50_s: Positive | None = None
    e2e_p90_s: Positive | None = None
    e2e_p95_s: Positive | None = None
    e2e_p99_s: Positive | None = None
    quality_min: Fraction | None = None
    budget_per_hour: Positive | None = None
    moved_gpus_max: Annotated[int, Field(ge=0)] | None = None
    migration_max_s: Annotated[float, Field(ge=0)] | None = None

    def limits(self) -> dict[str, tuple[str, float]]:
        """The targets that are set: name to metric and limit."""
        given = self.model_dump(exclude_none=True)
        return {name: (_LIMITED.get(name, name), float(value)) for name, value in given.items()}

    def latency_limits(self) -> dict[str, float]:
        """The latency targets that are set: metric name to limit in seconds."""
        found = self.limits().items()
        return {metric: limit for name, (metric, limit) in found if name not in _LIMITED}

    def migration_limits(self) -> dict[str, float]:
        """The limits on the way from the fleet that runs: metric name to limit."""
        return {metric: limit for metric, limit in self.limits().values() if metric in MIGRATION}

    def request_limits(self) -> dict[str, float]:
        """What one request has to meet to count as goodput: latency name to limit in seconds.

        A request counts when it meets the strictest limit set on each latency.
        """
        limits: dict[str, float] = {}
        for metric, limit in self.latency_limits().items():
            latency = metric.split("_", 1)[0]
            limits[latency] = min(limit, limits.get(latency, limit))
        return limits


# Targets that are not called like the metric that they limit.
_LIMITED: Final = {
    "quality_min": "quality",
    "budget_per_hour": "cost_per_hour",
    "moved_gpus_max": "moved_gpus",
    "migration_max_s": "migration_s",
}
