"""Scrambled Sobol points: space filling, blind to what it is told."""

from __future__ import annotations

from collections.abc import Sequence

from boute.optimizer.encoding import Point
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.trial import Trial

__all__ = ["Sobol"]


class Sobol:
    """The sequence goes on after as many points as were told."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._dimensions = problem.encoding.dimensions
        self._seed = seed
        self._told = 0

    def ask(self, count: int) -> list[Point]:
        """The next points of the sequence."""
        return sobol_points(self._dimensions, count, self._seed, skip=self._told)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Count what was tried."""
        self._told += len(trials)
