"""NSGA-II of pymoo behind ask and tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.termination import NoTermination
from pymoo.problems.static import StaticProblem

from boute.optimizer.encoding import Point
from boute.optimizer.problem import Problem
from boute.optimizer.trial import Trial

__all__ = ["Nsga2"]

POPULATION = 24  # two generations and more within the default of 64 evaluations

# Objectives of a point that is no plan. NSGA-II ranks the infeasible by violation alone, but the
# value enters its scaling, so it stays near those of real plans.
_REJECTED = 2.0


class Nsga2:
    """Generations of pymoo's NSGA-II, handed out in batches as small as they are asked for."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = PymooProblem(
            n_var=problem.encoding.dimensions,
            n_obj=len(problem.objectives),
            n_ieq_constr=1,
            xl=0.0,
            xu=1.0,
        )
        self._algorithm = NSGA2(pop_size=POPULATION, eliminate_duplicates=True)
        self._algorithm.setup(self._problem, termination=NoTermination(), seed=seed, verbose=False)
        self._asked: list[Point] = []
        self._generation: Population | None = None
        self._told: dict[Point, tuple[np.ndarray, float]] = {}

    def ask(self, count: int) -> list[Point]:
        """The rest of the present generation, or the beginning of the next."""
        waiting = [point for point in self._points() if point not in self._told]
        return waiting[:count]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take in trials; a generation of which all are known has offspring."""
        for trial in trials:
            values = trial.values
            if values is None:
                values = np.full(self._problem.n_obj, _REJECTED)
            self._told[trial.point] = (values, trial.violation)
        # Trials of another search fit no generation and are left aside, unless it has the same
        # seed and was ahead.
        while all(point in self._told for point in self._points()):
            self._breed()

    def _points(self) -> list[Point]:
        if self._generation is None:
            self._generation = self._algorithm.ask()
            self._asked = [tuple(float(v) for v in x) for x in self._generation.get("X")]
        return self._asked

    def _breed(self) -> None:
        results = [self._told[point] for point in self._asked]
        static = StaticProblem(
            self._problem,
            F=np.array([values for values, _ in results]),
            G=np.array([[violation] for _, violation in results]),
        )
        Evaluator().eval(static, self._generation)
        self._algorithm.tell(infills=self._generation)
        self._generation = None
