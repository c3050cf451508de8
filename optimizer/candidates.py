"""Where promising points come from: chance, and changes to points that did well.

Points are screened by the analytic estimate before anything is simulated. The surrogate then
chooses among decoded plans, so that no acquisition is spent on a point that decodes to a plan
that was tried, or to none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from boute.optimizer.decoder import Rejection
from boute.optimizer.encoding import Point
from boute.optimizer.pareto import nondominated
from boute.optimizer.problem import Preview, Problem
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.trial import Candidate, Trial
from boute.plan.decision import Decision

__all__ = ["CandidatePool", "estimated_front"]

# Points of the archive that changes start from, at most.
_PARENTS: Final = 64


class CandidatePool:
    """Previews of distinct plans, by key, that grows by chance and by change."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.previews: dict[str, Preview] = {}

    def add(self, points: Iterable[Point]) -> None:
        """Decode points and keep a preview of each plan that is new."""
        for point in points:
            found = self._problem.decode(point)
            if not isinstance(found, Rejection) and found.key not in self.previews:
                self.previews[found.key] = self._problem.preview(point, found)

    def keep(self, trials: Iterable[Trial]) -> None:
        """Keep a preview of what was tried."""
        self.add_plans(trial.decision for trial in trials if trial.decision is not None)

    def add_plans(self, plans: Iterable[Decision]) -> None:
        """Keep a preview of each plan that is new, also of one that no point decodes to."""
        for plan in plans:
            if plan.key not in self.previews:
                point = self._problem.point_of(plan)
                self.previews[plan.key] = self._problem.preview(point, plan)

    def candidate(self, preview: Preview) -> Candidate:
        """What to ask for to get this plan: its point, unless that decodes to another."""
        found = self._problem.decode(preview.point)
        is_it = isinstance(found, Decision) and found.key == preview.decision.key
        return preview.point if is_it else preview.decision

    def add_random(self, count: int, seed: int) -> None:
        """Add Sobol points."""
        self.add(sobol_points(self._problem.encoding.dimensions, count, seed))

    def add_changes(self, parents: Sequence[Point], count: int, rng: np.random.Generator) -> None:
        """Add points that cross two parents and move a few coordinates of the result."""
        if not parents:
            return
        chosen = np.array(parents)
        size = chosen.shape[1]
        first, second = rng.integers(len(chosen), size=(2, count))
        cross = rng.random((count, size)) < rng.choice([0.0, 0.3], size=(count, 1))
        points = np.where(cross, chosen[second], chosen[first])
        moved = rng.random((count, size)) < 2.0 / size
        # Half of the moves are small, half go anywhere: a preference has to be able to flip.
        step = np.where(
            rng.random((count, size)) < 0.5,
            points + rng.normal(0.0, 0.1, (count, size)),
            rng.random((count, size)),
        )
        points = np.clip(np.where(moved, step, points), 0.0, 1.0)
        self.add(tuple(float(value) for value in point) for point in points)

    def refine(self, rounds: int, count: int, rng: np.random.Generator) -> None:
        """Improve the estimated front: change its points, keep what is good, again."""
        for _ in range(rounds):
            front = estimated_front(list(self.previews.values()))
            keep = rng.permutation(len(front))[:_PARENTS]
            self.add_changes([front[index].point for index in keep], count, rng)


def estimated_front(previews: Sequence[Preview]) -> list[Preview]:
    """Previews that no other dominates in estimate, those expected to meet the targets first.

    When none is expected to, the ones that miss least.
    """
    meets = [preview for preview in previews if preview.violation == 0.0]
    if not meets:
        return sorted(previews, key=lambda preview: preview.violation)[:_PARENTS]
    keep = nondominated(np.array([preview.values for preview in meets]))
    return [preview for preview, kept in zip(meets, keep, strict=True) if kept]
