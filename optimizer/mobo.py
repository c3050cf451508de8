"""The default search: a local search on cheap looks, and Bayesian optimization if it is asked for.

Plans are looked at on two levels: by formulas, then by simulation of a window, which is the whole
workload unless that is very long. On each a local search keeps an archive of the best drafts. What
is asked for is what adds most to the front of the plans that were tried, and what is cheapest for
what it does, by the looks themselves. Where these are not exact a surrogate can learn how full
evaluations differ from them: that takes longer, and has brought nothing yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.optimizer.archive import Looked
from boute.optimizer.bargains import EARLY, MOST, Bargains
from boute.optimizer.draft import decision_of_draft, draft_of
from boute.optimizer.fidelity.looker import Looker, latencies_among
from boute.optimizer.fidelity.part import PartSource
from boute.optimizer.fidelity.simulated import SimulatedParts
from boute.optimizer.fidelity.steady import SteadyParts
from boute.optimizer.learner import Learner
from boute.optimizer.local_search import LocalSearch
from boute.optimizer.pareto import hypervolume
from boute.optimizer.problem import Problem
from boute.optimizer.search import BATCH
from boute.optimizer.seeds import ends, seeds
from boute.optimizer.trial import Trial
from boute.optimizer.tried import Tried
from boute.plan.decision import Decision

__all__ = ["Mobo", "Recipe"]

FIRST: Final = 16  # plans that are tried before anything is learned
PROMOTED: Final = 64  # drafts of one level that are looked at on the next, each round

# Work of a round on each level, in microseconds as they count it; as much again to promote.
WORK: Final = 300_000

# Work spent on looks at the ends of the front between two batches.
_END_WORK: Final = WORK // 6

# Gain of the next batch, as a share of the hypervolume, above which it is tried before more is
# looked for.
PLENTY: Final = 0.003

# Plans that are tried before more is looked for, where so many promise something, once EARLY were.
_LATER: Final = 2 * BATCH

# Rounds of work without a gain after which nothing more is expected.
_PATIENCE: Final = 20


@dataclass(frozen=True)
class Recipe:
    """What the search is made of; parts are left out to see what each brings."""

    formulas: bool = True
    guide: bool = True
    windows: tuple[int, ...] = (32_768,)
    placements: bool = True
    local_search: bool = True
    bargains: bool = True
    surrogate: bool = False


class Mobo:
    """Asks for what is expected to add most to the front of the plans that were tried."""

    def __init__(self, problem: Problem, seed: int, recipe: Recipe | None = None) -> None:
        self._problem = problem
        self._seed = seed
        self._recipe = recipe or Recipe()
        self._tried = Tried(problem)
        self._levels: list[LocalSearch] = []
        self._bargains = Bargains(problem, self._tried)
        self._learner: Learner | None = None
        self._is_exact = False
        self._grown_at = 0
        self._is_wide = False
        self._first: list[Looked] | None = None

    def ask(self, count: int) -> list[Decision]:
        """The first plans; then those with the largest expected gain, or none."""
        self._begin()
        waiting = self._waiting()
        chosen = waiting[:count] if waiting else self._promising(count)
        return [decision_of_draft(looked.draft, self._problem) for looked in chosen]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from the trials that were evaluated.

        The archives grow here and not when asked, so that a fresh sampler that is told the same
        has the same archives.
        """
        self._begin()
        level = self._levels[-1]
        for trial in trials:
            draft = self._tried.add(trial)
            if draft is not None:
                level.look_at([draft])
        if self._is_exact and self._recipe.bargains:
            self._bargains.place_anew()
        self._bargains.look(level, _END_WORK)
        if not self._waiting() and not self._has_plenty():
            self._grow()
            self._grown_at = len(self._tried)

    def _begin(self) -> None:
        """Look at the seeds, and around them."""
        if self._levels:
            return
        sources: list[PartSource] = [self._formulas()] if self._recipe.formulas else []
        for longest in self._recipe.windows:
            if not (sources and sources[-1].is_whole):
                sources.append(SimulatedParts(self._problem, longest))
        lookers = [Looker(self._problem, source) for source in sources]
        for looker in lookers:
            guide = self._levels[-1] if self._levels and self._recipe.guide else None
            self._levels.append(LocalSearch(self._problem, looker, guide))
        self._is_exact = lookers[-1].is_exact and not self._problem.robust
        if self._recipe.surrogate:
            self._learner = Learner(self._problem, self._tried, self._levels[-1])
        first = seeds(self._problem, self._seed, self._recipe.placements)
        self._levels[0].look_at(draft_of(decision, self._problem) for decision in first)
        if self._recipe.bargains and lookers[-1].is_exact:
            self._bargains.add(ends(self._problem))
        self._work(WORK // 2, np.random.default_rng([self._seed, 0]))

    def _formulas(self) -> SteadyParts:
        problem = self._problem
        return SteadyParts(problem.context, problem.table, tuple(latencies_among(problem.wanted)))

    def _work(self, work: int, rng: np.random.Generator) -> None:
        """Search on each level, from the formulas to the longest window."""
        for below, level in zip([None, *self._levels], self._levels, strict=False):
            if below is not None:
                promising = below.best(PROMOTED, without=level.looked)
                level.look_at((found.draft for found in promising), work)
            if self._recipe.local_search:
                level.run(work, rng)

    def _waiting(self) -> list[Looked]:
        """First plans that are not tried yet."""
        if self._first is None:
            self._first = self._levels[-1].best(FIRST)
        return [found for found in self._first if found.draft not in self._tried.drafts]

    def _grow(self) -> None:
        rng = np.random.default_rng([self._seed, len(self._tried), 1])
        for _ in range(_PATIENCE if self._recipe.local_search else 1):
            self._work(WORK, rng)
            if self._gains(1):
                return
            if not self._is_wide:
                self._is_wide = True
                for level in self._levels:
                    level.widen()

    def _has_plenty(self) -> bool:
        """Whether the drafts at hand promise so much that looking for more can wait.

        Looks that are not exact promise too much as a rule.
        """
        if not self._is_exact or not self._levels[-1].archive.members:
            return False
        gains = [looked.values for looked in self._gains(BATCH)]
        if not gains:
            return False
        if len(self._tried) >= EARLY and len(self._tried) < self._grown_at + _LATER:
            return True
        front = self._tried.front()
        now = hypervolume(front)
        return hypervolume(np.vstack([front, gains])) > (1.0 + PLENTY) * now

    def _gains(self, count: int) -> list[Looked]:
        """Untried drafts that add most to the front by their looks."""
        return self._levels[-1].best(count, self._tried.front(), self._tried.drafts)

    def _promising(self, count: int) -> list[Looked]:
        """Gains, and bargains where looks are exact; or what the learner expects."""
        if self._is_exact:
            wanted = self._recipe.bargains and count > MOST
            extra = self._bargains.best(self._levels[-1]) if wanted else []
            gains = [looked for looked in self._gains(count) if looked not in extra]
            return [*gains[: count - len(extra)], *extra]
        if self._learner is None or len(self._tried) < 2:
            return self._gains(count)
        rng = np.random.default_rng([self._seed, len(self._tried)])
        chosen = self._learner.choose(count, rng)
        return self._gains(count) if chosen is None else chosen
