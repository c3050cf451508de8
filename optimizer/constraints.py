"""What a plan has to meet besides inventory and budget, and by how much an outcome misses it."""

from __future__ import annotations

from boute.metrics import MIGRATION
from boute.outcome import Outcome
from boute.spec.model import Targets

__all__ = ["misses", "relative_miss"]


def misses(outcome: Outcome, targets: Targets) -> dict[str, float]:
    """Constraints that an outcome misses, by name, with the relative miss (0.5 is 50% past).

    A plan that does not drain its queue misses `stability` by the share that its busiest pool is
    asked to carry beyond what it can, at least 1: its latencies depend on the length of the trace
    and mean nothing.
    """
    found: dict[str, float] = {}
    if outcome.verdict == "unstable":
        found["stability"] = 1.0 + max(outcome.utilisation - 1.0, 0.0)
    for metric, limit in targets.latency_limits().items():
        if (value := outcome.value(metric)) > limit:
            found[metric] = value / limit - 1.0
    floor = targets.quality_min
    if floor is not None and outcome.quality < floor:
        found["quality_min"] = floor / max(outcome.quality, 1e-9) - 1.0
    for name, (metric, limit) in targets.limits().items():
        if metric in MIGRATION and (value := outcome.value(metric)) > limit:
            found[name] = relative_miss(value, limit)
    budget = targets.budget_per_hour
    if budget is not None and outcome.cost_per_hour > budget * (1.0 + 1e-9):
        found["budget_per_hour"] = outcome.cost_per_hour / budget - 1.0
    return found


def relative_miss(value: float, limit: float) -> float:
    """How far a value is past an upper limit, which may be 0: moves are counted in whole GPUs."""
    return max(value - limit, 0.0) / max(limit, 1.0)
