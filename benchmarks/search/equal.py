"""Two sets of plans compared at equal terms: cost, latency and throughput.

At a target, say quality at least q and latency at most l, each side shows its best plan. A target
that one side cannot meet at all gives no ratio: it is counted, and left out of the mean. Means are
geometric, so that no one target dominates and the sides can be swapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import exp, log
from typing import Final

from benchmarks.search.judge import Judged

__all__ = ["Terms", "Versus", "at_equal_budget", "at_equal_latency", "throughput", "versus"]

_LATENCY_SHARES: Final = (1.0, 0.5, 0.25)
_BUDGET_SHARES: Final = (1.0, 0.75, 0.5)
_SLACK: Final = 1e-9

Best = Callable[[Sequence[Judged]], list[float | None]]
"""Of each target the best value that plans reach; None where none meets it. Less is better."""


@dataclass(frozen=True)
class Terms:
    """What a scenario asks at most: levels of quality, the limits of latency and of cost."""

    levels: tuple[float, ...]
    latency_s: float
    budget_per_hour: float


@dataclass(frozen=True)
class Versus:
    """The planner's values over a baseline's: one ratio for each target that both meet.

    `only_planner`, `only_baseline` and `neither` count the other targets.
    """

    ratios: tuple[float, ...]
    only_planner: int = 0
    only_baseline: int = 0
    neither: int = 0

    @property
    def mean(self) -> float | None:
        """Geometric mean of the ratios; None where no target is met by both."""
        if not self.ratios:
            return None
        return exp(sum(map(log, self.ratios)) / len(self.ratios))

    @property
    def worst(self) -> float | None:
        """The ratio least in the planner's favour."""
        return max(self.ratios, default=None)


def at_equal_latency(terms: Terms) -> Best:
    """The least cost at each quality and latency."""

    def best(plans: Sequence[Judged]) -> list[float | None]:
        return [
            _least(
                plan.cost_per_hour
                for plan in _able(plans, level)
                if plan.latency_s <= share * terms.latency_s
            )
            for level, share in product(terms.levels, _LATENCY_SHARES)
        ]

    return best


def at_equal_budget(terms: Terms) -> Best:
    """The least latency at each quality and budget."""

    def best(plans: Sequence[Judged]) -> list[float | None]:
        return [
            _least(
                plan.latency_s
                for plan in _able(plans, level)
                if plan.cost_per_hour <= share * terms.budget_per_hour * (1.0 + _SLACK)
            )
            for level, share in product(terms.levels, _BUDGET_SHARES)
        ]

    return best


def throughput(terms: Terms) -> Best:
    """The inverse of the highest rate that keeps the targets, at each quality within the budget."""

    def best(plans: Sequence[Judged]) -> list[float | None]:
        return [
            _least(1.0 / plan.rate for plan in _able(plans, level) if plan.rate is not None)
            for level in terms.levels
        ]

    return best


def versus(planner: Sequence[Judged], baseline: Sequence[Judged], best: Best) -> Versus:
    """Compare target by target."""
    pairs = list(zip(best(planner), best(baseline), strict=True))
    return Versus(
        ratios=tuple(own / other for own, other in pairs if own is not None and other is not None),
        only_planner=sum(own is not None and other is None for own, other in pairs),
        only_baseline=sum(own is None and other is not None for own, other in pairs),
        neither=sum(own is None and other is None for own, other in pairs),
    )


def _able(plans: Sequence[Judged], level: float) -> list[Judged]:
    """Plans that keep the spec's targets on the trace they are judged on, and have the quality."""
    return [plan for plan in plans if plan.feasible and plan.quality >= level - _SLACK]


def _least(values: Iterable[float]) -> float | None:
    return min(values, default=None)
