"""A list of plans as a sampler: the ones that the estimate likes best come first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import moocore
import numpy as np

from boute.optimizer.problem import Problem
from boute.optimizer.trial import Trial
from boute.plan.decision import Decision

__all__ = ["Ranked", "most_promising_first"]


class Ranked:
    """Asks for the plans of a list that were not tried yet, and ends with it."""

    def __init__(self, problem: Problem, plans: Iterable[Decision]) -> None:
        distinct = {plan.key: plan for plan in plans}
        self._left = {p.key: p for p in most_promising_first(problem, list(distinct.values()))}

    def ask(self, count: int) -> Sequence[Decision]:
        """The next plans, or none when there are no more."""
        return list(self._left.values())[:count]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Note what was tried."""
        for trial in trials:
            if trial.decision is not None:
                self._left.pop(trial.decision.key, None)


def most_promising_first(problem: Problem, plans: Sequence[Decision]) -> list[Decision]:
    """By what the estimate says: plans that meet the targets, layer by layer, then by the miss."""
    if not plans:
        return []
    promised = [problem.promised(problem.estimator.estimate(plan)) for plan in plans]
    values = np.array([found for found, _ in promised])
    miss = np.array([violation for _, violation in promised])
    layer = np.asarray(moocore.pareto_rank(values))
    order = np.lexsort((np.linalg.norm(values, axis=1), layer, miss))
    return [plans[index] for index in order]
