"""Thresholds outside, placement inside: bi-level search in the manner of Cascadia.

The inner problem is a MILP: for a routing, the placements at least cost at some levels of fullness
and at least latency within some budgets. The outer one moves thresholds to minimise a Chebyshev
scalarisation of the objectives, max over i of w[i] f[i], one descent for each weight vector; what
was simulated counts as simulated, the rest as estimated. Cascadia (arXiv 2506.04203) sweeps weights
of latency and quality in the same way over its cascade's thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from boute.optimizer.assemble import assemble
from boute.optimizer.baselines import best_placements
from boute.optimizer.problem import Problem
from boute.optimizer.trial import Trial
from boute.plan.decision import Decision
from boute.workload.arrays import Floats

__all__ = ["Bilevel"]

_STEPS: Final = (20, 5, 1)  # percent of the queries that a move shifts, largest first
_LADDER: Final = (0, 30, 60)  # percent that the larger of two models takes where a descent begins
_WEIGHTS: Final = 64  # weight vectors without a new plan after which the search ends
_AUGMENTED: Final = 0.01  # weight of the sum, so that weakly dominated plans lose
_MISS: Final = 10.0  # weight of a missed target

Shares = tuple[int, ...]  # whole percents


class Bilevel:
    """One descent over thresholds for each new weight vector."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._seed = seed
        self._tried: dict[str, Trial] = {}
        self._inner: dict[Shares, list[tuple[Decision, Floats, float]]] = {}

    def ask(self, count: int) -> Sequence[Decision]:
        """Of each of the next weight vectors the best plan that is new; none when none has any."""
        found: dict[str, Decision] = {}
        first = len(self._tried)
        barren = 0
        while len(found) < count and barren < _WEIGHTS:
            rng = np.random.default_rng([self._seed, first])
            first += 1
            new = self._best_new(rng.dirichlet(np.ones(len(self._problem.objectives))), found)
            if new is None:
                barren += 1
            else:
                barren = 0
                found[new.key] = new
        return list(found.values())

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take in what was simulated."""
        for trial in trials:
            if trial.decision is not None:
                self._tried[trial.decision.key] = trial

    def _best_new(self, weight: Floats, found: dict[str, Decision]) -> Decision | None:
        """The best untried plan among those that a descent from the ladder passes."""
        start = min(self._ladder(), key=lambda shares: self._worth(shares, weight))
        passed: dict[str, tuple[float, Decision]] = {}
        for shares in self._descent(start, weight):
            for decision, values, miss in self._placed(shares):
                if decision.key not in self._tried and decision.key not in found:
                    passed[decision.key] = (_scalar(values, miss, weight), decision)
        return min(passed.values(), key=lambda item: item[0])[1] if passed else None

    def _descent(self, start: Shares, weight: Floats) -> Iterator[Shares]:
        """Routings looked at on the way to one that no shift between neighbours improves."""
        here, worth = start, self._worth(start, weight)
        yield here
        for step in _STEPS:
            while True:
                around = list(_shifts(here, step))
                yield from around
                best = min(around, key=lambda shares: self._worth(shares, weight), default=here)
                if (value := self._worth(best, weight)) >= worth:
                    break
                here, worth = best, value

    def _worth(self, shares: Shares, weight: Floats) -> float:
        """Of the best placement: measured where it was simulated, else estimated."""
        found = []
        for decision, promised, promised_miss in self._placed(shares):
            trial = self._tried.get(decision.key)
            if trial is None or trial.values is None:
                found.append(_scalar(promised, promised_miss, weight))
            else:
                found.append(_scalar(trial.values, trial.violation, weight))
        return min(found, default=np.inf)

    def _placed(self, shares: Shares) -> list[tuple[Decision, Floats, float]]:
        """The inner problem's plans with what they promise; remembered."""
        if shares not in self._inner:
            problem = self._problem
            routing = problem.decoder.routing_for(np.array(shares) / 100.0)
            plans = [
                assemble(problem.context, routing, placement)
                for placement in best_placements(problem, np.array(routing.asked))
            ]
            self._inner[shares] = [
                (plan, *problem.promised(problem.estimator.estimate(plan))) for plan in plans
            ]
        return self._inner[shares]

    def _ladder(self) -> Iterator[Shares]:
        """All queries to one model, or some to its larger neighbour."""
        models = self._problem.encoding.models
        for low in range(models):
            for percent in _LADDER if low < models - 1 else (0,):
                shares = [0] * models
                shares[low] = 100 - percent
                if percent:
                    shares[low + 1] = percent
                yield tuple(shares)


def _shifts(shares: Shares, step: int) -> Iterator[Shares]:
    """Shares with `step` percent, or what there is, moved from one model to its neighbour."""
    for low in range(len(shares) - 1):
        for giver, taker in ((low, low + 1), (low + 1, low)):
            moved = min(step, shares[giver])
            if moved:
                changed = list(shares)
                changed[giver] -= moved
                changed[taker] += moved
                yield tuple(changed)


def _scalar(values: Floats, miss: float, weight: Floats) -> float:
    """Augmented Chebyshev scalarisation, with missed targets as a penalty."""
    return float(np.max(weight * values) + _AUGMENTED * values.sum() + _MISS * miss)
