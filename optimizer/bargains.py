"""Plans that are cheapest for what they do, among them the ends of the front.

Who asks for a quality and a latency at least cost sees ratios of cost. Hypervolume does not: at the
cheap end of the front half the cost is next to none of it. And an archive may have dropped a plan
for one that is much alike, and a cent dearer. So bargains are looked for beside what adds volume,
and so is what goes beyond all that was tried in any objective, as the best model alone does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from boute.optimizer.archive import Looked
from boute.optimizer.decoder import FULLEST
from boute.optimizer.draft import Draft, draft_of, routing_of
from boute.optimizer.local_search import LocalSearch
from boute.optimizer.problem import Problem
from boute.optimizer.seeds import placed
from boute.optimizer.tried import Tried
from boute.plan.decision import Decision

__all__ = ["EARLY", "MOST", "Bargains"]

EARLY: Final = 64
"""Trials after which ends of the front are tried too, and its routings are placed anew."""

MOST: Final = 3
"""Bargains in a batch at most: one of the archive, the others ends."""

# How many times as dear a tried plan has to be that does as much as a draft of the archive.
_RATIO: Final = 1.05

# Routings of the front that are placed anew between two batches, and how full: the table may hope
# for more than the simulator finds. A program of a hundred options takes ten milliseconds, one of
# seven hundred a third of a second; so there are fewer of those, by options in all.
_PLACED: Final = 4
_OPTIONS: Final = 600
_LEVELS: Final = (FULLEST, 0.75)

_SMALLEST: Final = 1e-6  # difference of normalised objectives that counts


class Bargains:
    """The ends of one problem's front, and what is cheap beside the plans that were tried."""

    def __init__(self, problem: Problem, tried: Tried) -> None:
        names = problem.objectives
        self._problem = problem
        self._tried = tried
        self._price = names.index("cost_per_hour") if "cost_per_hour" in names else None
        self._placed: set[tuple[int, ...]] = set()
        self._ends: list[Draft] = []

    def add(self, plans: Iterable[Decision]) -> None:
        """Take plans for ends of the front."""
        self._ends += [draft_of(plan, self._problem) for plan in plans]

    def look(self, level: LocalSearch, work: int) -> None:
        """Look at ends, those known for longest first, until so much work is done."""
        level.look_at([end for end in self._ends if end not in level.looked], work)

    def place_anew(self) -> None:
        """Add the cheapest placements for routings of the front, of its cheapest plans first."""
        if self._price is None or len(self._tried) < EARLY:
            return
        problem, best = self._problem, self._tried.best()
        order = self._tried.front()[:, self._price].argsort(kind="stable")
        plans = [best[place].decision for place in order]
        routings = dict.fromkeys(draft_of(plan, problem).cuts for plan in plans if plan is not None)
        most = min(max(_OPTIONS // len(problem.table.options), 1), _PLACED)
        new = [cuts for cuts in routings if cuts not in self._placed][:most]
        self._placed.update(new)
        self.add(placed(problem, [routing_of(cuts, problem) for cuts in new], _LEVELS))

    def best(self, level: LocalSearch) -> list[Looked]:
        """What is to be tried next: up to MOST, by what they save."""
        bargains = self._cheap(level.archive.members, _RATIO)[:1]
        if len(self._tried) >= EARLY:
            known = (level.looked.get(draft) for draft in self._ends)
            within = [found for found in known if found is not None and _is_within(found)]
            bargains += self._beyond(within)[:1] + self._cheap(within, 1.0 + _SMALLEST)
        return list(dict.fromkeys(bargains))[:MOST]

    def _beyond(self, found: Sequence[Looked]) -> list[Looked]:
        """Those untried that are better in some objective than every tried plan."""
        front = self._tried.front()
        if not len(front):
            return []
        best = front.min(axis=0) - _SMALLEST
        tried = self._tried.drafts
        return [f for f in found if np.any(f.values < best) and f.draft not in tried]

    def _cheap(self, found: Sequence[Looked], ratio: float) -> list[Looked]:
        """Those untried beside which every tried plan that does as much is dearer by a ratio.

        The largest ratio comes first.
        """
        untried = [looked for looked in found if looked.draft not in self._tried.drafts]
        front, price = self._tried.front(), self._price
        if price is None or not untried or not len(front):
            return []
        own = np.array([looked.values for looked in untried])
        does_more = np.delete(front, price, 1) <= np.delete(own, price, 1)[:, None] + _SMALLEST
        cheapest = np.where(does_more.all(axis=2), front[:, price], 1.0).min(axis=1)
        saved = cheapest / np.maximum(own[:, price], _SMALLEST)
        order = (-saved).argsort(kind="stable")
        return [untried[place] for place in order if saved[place] > ratio]


def _is_within(looked: Looked) -> bool:
    """Whether a draft meets everything and is better than the reference point."""
    return looked.violation == 0.0 and bool(np.all(looked.values < 1.0))
