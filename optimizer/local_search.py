"""Pareto local search over drafts: change what is good, look, keep what is better.

Every draft of the archive is a place to start from, those that were changed least come first, so
the whole front moves together and not only one corner of it.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator
from typing import Final

import numpy as np

from boute.optimizer.archive import Archive, Looked
from boute.optimizer.draft import Draft
from boute.optimizer.fidelity.looker import Looker
from boute.optimizer.moves import Moves
from boute.optimizer.pareto import spread
from boute.optimizer.problem import Problem
from boute.workload.arrays import Floats

__all__ = ["LocalSearch"]

# Work of a change that came to nothing, in microseconds.
_IDLE: Final = 60
_GUIDED: Final = 300

# Chance of starting from a draft that misses something.
_FROM_MISSES: Final = 0.2

# Mean work of a look from which it is worth asking the guide first.
_DEAR: Final = 1000

# Chance of looking at a change that the guide thinks little of: it may be wrong.
_DARING: Final = 0.2


class LocalSearch:
    """The archive of one problem, and how it grows."""

    def __init__(self, problem: Problem, looker: Looker, guide: LocalSearch | None = None) -> None:
        self._problem = problem
        self._looker = looker
        self._guide = guide
        self._moves = Moves(problem)
        self._changes: dict[Draft, int] = {}
        self._steps: dict[Draft, Iterator[Draft]] = {}
        self.looked: dict[Draft, Looked] = {}
        self.archive = Archive(len(problem.objectives))

    def look(self, draft: Draft) -> Looked:
        """What a draft is worth; remembered, and kept in the archive if it is good."""
        if draft not in self.looked:
            metrics, instability = self._looker.metrics(draft)
            values, violation = self._problem.judged(metrics, instability)
            looked = Looked(draft, values, metrics, violation)
            self.looked[draft] = looked
            self.archive.add(looked)
        return self.looked[draft]

    def look_at(self, drafts: Iterable[Draft], work: float = math.inf) -> None:
        """Look at drafts, those that can be placed, until so much more work is done."""
        start = self._looker.work
        for draft in drafts:
            if self._looker.work - start >= work:
                return
            if self._moves.fits(draft.placed):
                self.look(draft)

    def run(self, work: int, rng: np.random.Generator) -> None:
        """Change and look until so much more work is done."""
        idle = 0
        start = self._looker.work
        while self._looker.work - start + idle < work:
            parent, other = self._parents(rng)
            if parent is None or other is None:
                return
            self._changes[parent.draft] = self._changes.get(parent.draft, 0) + 1
            draft = self._next(parent.draft, other.draft, rng)
            if draft is None or draft in self.looked:
                idle += _IDLE
            elif rng.random() >= _DARING and not self._promises(draft, parent):
                idle += _GUIDED
            else:
                self.look(draft)

    def widen(self) -> None:
        """From now on draw from all options, and take all small steps anew."""
        self._moves.widen()
        self._steps.clear()

    def _parents(self, rng: np.random.Generator) -> tuple[Looked, Looked] | tuple[None, None]:
        """A draft to change and one to learn from: members, or drafts that nearly are."""
        members, misses = self.archive.members, self.archive.misses
        from_members = bool(members) and (not misses or rng.random() >= _FROM_MISSES)
        pool = members if from_members else misses
        if not pool:
            return None, None
        others = members or misses
        first, second = (pool[int(i)] for i in rng.integers(len(pool), size=2))
        return min((first, second), key=self._changed), others[int(rng.integers(len(others)))]

    def best(
        self, count: int, base: Floats | None = None, without: Container[Draft] = frozenset()
    ) -> list[Looked]:
        """Up to `count` drafts of the archive that add most volume to a front [n, m], if any.

        While nothing meets the targets, those that miss least.
        """
        if not self.archive.members:
            return [miss for miss in self.archive.misses if miss.draft not in without][:count]
        found = [looked for looked in self.archive.members if looked.draft not in without]
        if not found:
            return []
        return [found[i] for i in spread(np.array([f.values for f in found]), count, base)]

    def _next(self, draft: Draft, other: Draft, rng: np.random.Generator) -> Draft | None:
        """Half of the time the next of all small steps, in order, else any change."""
        if rng.random() < 0.5:
            if draft not in self._steps:
                self._steps[draft] = self._moves.neighbours(draft)
            step = next(self._steps[draft], None)
            if step is not None:
                return self._moves.completed(step, rng)
        return self._moves.change(draft, other, rng)

    def _promises(self, draft: Draft, parent: Looked) -> bool:
        """Whether a change looks good if it does to the parent what it does by the guide."""
        guide = self._guide
        if guide is None or self._looker.work < _DEAR * len(self.looked):
            return True
        before, after = guide.look(parent.draft).metrics, guide.look(draft).metrics
        expected = {
            name: after[name] * (parent.metrics[name] / before[name] if before[name] > 0.0 else 1.0)
            for name in after
        }
        return self.archive.would_keep(*self._problem.judged(expected, 0.0))

    def _changed(self, looked: Looked) -> int:
        return self._changes.get(looked.draft, 0)
