"""What a plan has to meet besides inventory and budget, and by how much it misses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from boute.metrics import MIGRATION
from boute.outcome import Verdict
from boute.spec.targets import Targets

__all__ = ["Judged", "instability", "misses", "misses_of"]


class Judged(Protocol):
    """What tells metrics by name and whether queues drain: an outcome, or the run behind it."""

    @property
    def verdict(self) -> Verdict:
        """That of the worst pool."""
        ...

    @property
    def utilisation(self) -> float:
        """That of the busiest pool."""
        ...

    def value(self, metric: str, /) -> float:
        """Value of a metric by its name in `boute.metrics`."""
        ...


def misses(found: Judged, targets: Targets) -> dict[str, float]:
    """Constraints that are missed, by name, with the relative miss (0.5 is 50% past)."""
    unstable = found.verdict == "unstable"
    return misses_of(found.value, instability(unstable, found.utilisation), targets)


def instability(unstable: bool, utilisation: float) -> float:
    """0 of a plan that drains its queue; else 1, and what its busiest pool is asked beyond 1.

    Its latencies depend on the length of the trace and mean nothing.
    """
    return 1.0 + max(utilisation - 1.0, 0.0) if unstable else 0.0


def misses_of(value: Callable[[str], float], unstable: float, targets: Targets) -> dict[str, float]:
    """The same of any source of metrics by name, with its instability."""
    found: dict[str, float] = {}
    if unstable > 0.0:
        found["stability"] = unstable
    for metric, limit in targets.latency_limits().items():
        if (latency := value(metric)) > limit:
            found[metric] = latency / limit - 1.0
    floor = targets.quality_min
    if floor is not None and (quality := value("quality")) < floor:
        found["quality_min"] = floor / max(quality, 1e-9) - 1.0
    for name, (metric, limit) in targets.limits().items():
        if metric in MIGRATION and (moved := value(metric)) > limit:
            found[name] = _relative_miss(moved, limit)
    budget = targets.budget_per_hour
    if budget is not None and (cost := value("cost_per_hour")) > budget * (1.0 + 1e-9):
        found["budget_per_hour"] = cost / budget - 1.0
    return found


def _relative_miss(value: float, limit: float) -> float:
    """How far a value is past an upper limit, which may be 0: moves are counted in whole GPUs."""
    return max(value - limit, 0.0) / max(limit, 1.0)
