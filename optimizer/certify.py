"""How near to the optimum a study has come, and of what that is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

from boute.optimizer.decoder import FULLEST
from boute.optimizer.exact import Exact
from boute.optimizer.placement.bound import SECONDS, cost_bound
from boute.optimizer.search import Search
from boute.optimizer.start import Started

__all__ = ["Certificate", "certify"]


@dataclass(frozen=True)
class Certificate:
    """What can be promised of a front, in sentences.

    `cost_bound_per_hour` is what no plan of the capacity table costs less than, and `cost_gap` how
    far above it the cheapest plan is, 0.05 being 5%; None where nothing is known.
    """

    says: tuple[str, ...]
    cost_bound_per_hour: float | None = None
    cost_gap: float | None = None


def certify(search: Search, seconds: float = SECONDS) -> Certificate:
    """The certificate of a search that found a feasible plan; takes about `seconds` at most."""
    sampler = search.sampler.sampler if isinstance(search.sampler, Started) else search.sampler
    says = [_exactness(search, sampler)] if isinstance(sampler, Exact) else []
    if "cost_per_hour" not in search.problem.objectives:
        says.append("cost: no bound is stated, as it is not an objective")
        return Certificate(tuple(says))
    cheapest = min(
        trial.outcome.cost_per_hour for trial in search.trials if trial.feasible and trial.outcome
    )
    found = cost_bound(search.problem, seconds=seconds)
    if found is None:
        says.append("cost: no bound is known for this policy, only for thresholds")
        return Certificate(tuple(says))
    bound = found.whole
    if not 0.0 < bound < math.inf:
        says.append("cost: no bound is known, HiGHS found none within its time for this many GPUs")
        return Certificate(tuple(says))
    if cheapest < bound * (1.0 - 1e-6):
        says.append(
            f"cost: no bound is known, the cheapest plan (${cheapest:.2f} an hour) is fuller than "
            f"the capacity table would have it, which allows none below ${bound:.2f}"
        )
        return Certificate(tuple(says), bound)
    gap = max(cheapest / bound - 1.0, 0.0)
    percent = math.ceil(gap * 1000.0 - 1e-6) / 10.0
    says.append(
        f"cost: the cheapest plan is at most {percent:g}% from the optimum, as the capacity table "
        f"allows none below ${bound:.2f} an hour, whatever its routing, that keeps the targets "
        f"with pools at most {FULLEST:.0%} full"
    )
    return Certificate(tuple(says), bound, gap)


def _exactness(search: Search, sampler: Exact) -> str:
    grid = f"{sampler.plans:,} plans with load fractions in steps of {100 // sampler.steps}%"
    if not search.ended:
        return f"front: not exact yet, the search ended before all {grid} were seen; go on with it"
    return (
        f"front: exact among {grid}; {len(search.trials):,} were simulated, and the others cannot "
        "be on it"
    )
