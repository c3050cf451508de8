"""The true front of a small case: every plan, but for those that provably cannot be on it.

Plans are all placements of options of the table, within memory, inventory, node size and budget,
for all routings on a grid of load fractions that keep the quality floor. They are simulated in the
order in which the estimate likes them. One is left out only where that cannot change the front:
where a pool is offered more than it carries, where a target is out of reach even for requests that
are alone, or where a plan that was simulated is at least as good as this one could be.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np

from boute.errors import InputError
from boute.evaluate import offered_load
from boute.optimizer.assemble import Placement, assemble
from boute.optimizer.enumeration import (
    compositions,
    count_compositions,
    count_placements,
    placements,
)
from boute.optimizer.ideal import Ideal
from boute.optimizer.pareto import nondominated
from boute.optimizer.problem import Problem
from boute.optimizer.ranked import most_promising_first
from boute.optimizer.trial import Trial
from boute.plan.decision import Decision
from boute.plan.model import Routing

__all__ = ["MOST_PLANS", "Exact", "all_plans"]

# Plans that are listed at most: some minutes of simulation.
MOST_PLANS: Final = 20_000

# Steps that load fractions are divided into, finest first: 1, 2, 5, 10, 20 and 50 percent.
GRIDS: Final = (100, 50, 20, 10, 5, 2)


class Exact:
    """Asks for every plan that may be on the front, and ends. The seed changes nothing.

    Raises InputError when there are more than MOST_PLANS on the coarsest grid.
    """

    def __init__(self, problem: Problem, seed: int, steps: int | None = None) -> None:
        self._problem = problem
        self._ideal = Ideal(problem)
        self.steps, plans = all_plans(problem, (steps,) if steps else GRIDS)
        self._left = most_promising_first(problem, plans)
        self._tried: set[str] = set()
        self._front = np.empty((0, len(problem.objectives)))
        self.plans, self.pruned = len(plans), 0

    def ask(self, count: int) -> Sequence[Decision]:
        """The next plans that may be on the front, or none when there are no more."""
        found: list[Decision] = []
        kept: list[Decision] = []
        rest = iter(self._left)
        for decision in rest:
            if decision.key in self._tried:
                continue
            if self._cannot_be_on_the_front(decision):
                self.pruned += 1
                continue
            kept.append(decision)
            found.append(decision)
            if len(found) == count:
                break
        self._left = [*kept, *rest]
        return found

    def tell(self, trials: Sequence[Trial]) -> None:
        """Note what was tried, and what it beats."""
        for trial in trials:
            if trial.decision is not None:
                self._tried.add(trial.decision.key)
            if trial.feasible:
                self._front = np.vstack([self._front, [trial.values]])
        self._front = self._front[nondominated(self._front)]

    def _cannot_be_on_the_front(self, decision: Decision) -> bool:
        if not self._tried:
            return False  # so that there is something to be said of a case without a feasible plan
        if self._ideal.misses_a_target(decision):
            return True
        if bool(np.any(np.all(self._front <= self._ideal.values(decision), axis=1))):
            return True
        context = self._problem.context
        return offered_load(decision, context.workload, context) >= 1.0


def all_plans(
    problem: Problem, grids: Sequence[int] = GRIDS, most: int = MOST_PLANS
) -> tuple[int, list[Decision]]:
    """Every plan on the finest grid that gives at most `most`, and the grid's steps.

    Raises InputError with the number of plans when there are more on each.
    """
    placed: dict[tuple[int, ...], list[Placement]] = {}
    table, context = problem.table, problem.context
    budget = context.spec.targets.budget_per_hour

    def of(models: tuple[int, ...]) -> list[Placement]:
        if models not in placed:
            every = placements(table.options, models, context.supplies, budget)
            placed[models] = list(islice(every, most + 1))
        return placed[models]

    for steps in grids:
        if count_compositions(problem.encoding.models, steps) > most:
            continue
        routings = _routings(problem, steps)
        if sum(len(of(_served(routing))) for routing in routings) <= most:
            return steps, [
                assemble(context, routing, placement)
                for routing in routings
                for placement in of(_served(routing))
            ]
    raise _too_large(problem, grids[-1], most)


def _routings(problem: Problem, steps: int) -> list[Routing]:
    """Distinct routings of the grid that keep the quality floor; if none does, the best one."""
    models = problem.encoding.models
    found = {
        routing.setting: routing
        for routing in map(problem.decoder.routing_for, compositions(models, steps))
    }
    quality = {key: problem.estimator.quality_of(found[key])[0] for key in found}
    floor = problem.context.spec.targets.quality_min or 0.0
    return [found[key] for key in found if quality[key] >= floor] or [
        found[max(quality, key=lambda key: quality[key])]
    ]


def _served(routing: Routing) -> tuple[int, ...]:
    """Models that are asked anything."""
    return tuple(model for model, share in enumerate(routing.asked) if share > 0.0)


def _too_large(problem: Problem, steps: int, most: int) -> InputError:
    models = range(problem.encoding.models)
    supplies = problem.context.supplies
    count = count_placements(problem.table.options, models, supplies)
    gpus = sum(supply.count for supply in supplies)
    return InputError(
        f"exact lists every plan, at most {most:,}, and {gpus} GPUs of {len(supplies)} types hold "
        f"{len(models)} models in about {count:.2g} ways before the budget, with load fractions in "
        f"steps of {100 // steps}% more than the limit",
        where="--sampler",
        mend="use mobo, which states a bound on the cost, or plan fewer GPUs, types or models",
    )
