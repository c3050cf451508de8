"""Changes to a draft: the small steps that a planner would try by hand.

Shift some percent of the queries between two models; add or take away a replica; run some replicas
in another shape or on another GPU type; place a model anew; take over from another draft how it
places a model or where it cuts. What a change leaves without enough GPUs is given more, and drafts
that do not fit the inventory, the nodes or the budget are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np

from boute.optimizer.draft import Draft, cuts_of, routing_of
from boute.optimizer.encoding import SHARE_STEPS
from boute.optimizer.inventory import rooms_by_size
from boute.optimizer.options import Placed
from boute.optimizer.problem import Problem
from boute.optimizer.worthwhile import worthwhile

__all__ = ["Moves"]

_STEPS: Final = (1, 1, 1, 2, 2, 3, 5, 10, 25)  # percents that a cut moves by
_BUSIEST: Final = 0.98  # of the capacity: what is fuller has no steady state to speak of
_AGAIN: Final = 0.3  # chance of one more change on top of one
_EMPTIEST: Final = 0.05

Counts = dict[int, int]


class Moves:
    """Random changes within one problem."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._options = problem.table.options
        context = problem.context
        self._of_model = self._by_model(worthwhile(self._options))
        self._is_wide = False
        self._rooms = [rooms_by_size(supply) for supply in context.supplies]
        budget = context.spec.targets.budget_per_hour
        self._budget = math.inf if budget is None else budget * (1.0 + 1e-9)
        self._rate = context.workload.peak_rate_per_s
        self._plainest: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._kinds: list[Callable[[Draft, Draft, np.random.Generator], Draft | None]] = [
            self._add, self._remove, self._swap, self._anew, self._borrow_placement,
        ]  # fmt: skip
        if problem.encoding.models > 1:
            self._kinds += [self._shift, self._shift, self._borrow_cuts]

    def widen(self) -> None:
        """From now on draw from all options and not only the worthwhile, and move cuts far.

        Among few requests luck decides what is feasible, so good cuts may lie apart.
        """
        self._is_wide = True
        self._of_model = self._by_model(range(len(self._options)))

    def change(self, draft: Draft, other: Draft, rng: np.random.Generator) -> Draft | None:
        """A draft one or a few changes away, `other` being one to learn from; None if none fits."""
        changed: Draft | None = draft
        while changed is not None and changed.placed:
            kind = self._kinds[int(rng.integers(len(self._kinds)))]
            changed = kind(changed, other, rng)
            if rng.random() > _AGAIN:
                break
        if changed is None or changed == draft:
            return None
        return self.completed(changed, rng)

    def neighbours(self, draft: Draft) -> Iterator[Draft]:
        """Every draft one small step away, whether it fits or not.

        One replica more of any option that may serve, one or all less of what is held, run in any
        other way, and each cut moved a little, or anywhere once the search is wide.
        """
        counts = dict(draft.placed)
        for index, held in counts.items():
            for gone in {1, held}:
                yield _with(draft, {index: -gone})
                for target in self._of_model[self._options[index].model]:
                    if target != index:
                        carried = gone * self._options[index].capacity_per_s
                        more = max(round(carried / self._options[target].capacity_per_s), 1)
                        for replicas in {1, more}:
                            yield _with(draft, {index: -gone, target: replicas})
        for model in {self._options[index].model for index in counts}:
            for target in self._of_model[model]:
                yield _with(draft, {target: 1})
        for place, cut in enumerate(draft.cuts):
            nearby = [min(max(cut + step, 0), SHARE_STEPS) for step in (-5, -2, -1, 1, 2, 5)]
            for moved in range(SHARE_STEPS + 1) if self._is_wide else nearby:
                cuts = [*draft.cuts[:place], moved, *draft.cuts[place + 1 :]]
                yield draft._replace(cuts=tuple(sorted(cuts)))

    def completed(self, draft: Draft, rng: np.random.Generator) -> Draft | None:
        """The draft with pools for all queries and for no others, if it fits."""
        asked = routing_of(draft.cuts, self._problem).asked
        counts = {
            index: replicas
            for index, replicas in draft.placed
            if asked[self._options[index].model] > 0.0
        }
        for model, share in enumerate(asked):
            if share > 0.0 and not self._cover(model, share * self._rate, counts, rng):
                return None
        placed = tuple(sorted(counts.items()))
        return Draft(self._plain(draft.cuts), placed) if self.fits(placed) else None

    def fits(self, placed: Placed) -> bool:
        """Whether replicas find room in the nodes, and the budget allows them."""
        price = sum(self._options[index].price_per_hour * n for index, n in placed)
        if price > self._budget:
            return False
        taken: dict[tuple[int, int], int] = {}
        for index, n in placed:
            option = self._options[index]
            for size in self._rooms[option.gpu]:
                if size <= option.gpus:
                    key = (option.gpu, size)
                    taken[key] = taken.get(key, 0) + n * option.gpus
        return all(used <= self._rooms[gpu][size] for (gpu, size), used in taken.items())

    def _by_model(self, choices: Iterable[int]) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in range(self._problem.encoding.models)]
        for index in choices:
            found[self._options[index].model].append(index)
        return found

    def _plain(self, cuts: tuple[int, ...]) -> tuple[int, ...]:
        """Of several cuts that mean one routing the same one, so that no draft has two names."""
        if cuts not in self._plainest:
            self._plainest[cuts] = cuts_of(routing_of(cuts, self._problem), self._problem)
        return self._plainest[cuts]

    def _cover(self, model: int, load: float, counts: Counts, rng: np.random.Generator) -> bool:
        """Add replicas of an option that is held, or of another, until the load is carried."""
        held = [index for index in self._of_model[model] if index in counts]
        carried = sum(counts[index] * self._options[index].capacity_per_s for index in held)
        lacking = load / _BUSIEST - carried
        if lacking <= 0.0 and held:
            return True
        choices = held if held and rng.random() < 0.5 else self._of_model[model]
        index = choices[int(rng.integers(len(choices)))]
        more = max(math.ceil(lacking / self._options[index].capacity_per_s), 1)
        counts[index] = counts.get(index, 0) + more
        return True

    def _shift(self, draft: Draft, other: Draft, rng: np.random.Generator) -> Draft:
        del other
        cuts = list(draft.cuts)
        place = int(rng.integers(len(cuts)))
        step = _STEPS[int(rng.integers(len(_STEPS)))] * (1 if rng.random() < 0.5 else -1)
        low = cuts[place - 1] if place > 0 else 0
        high = cuts[place + 1] if place + 1 < len(cuts) else SHARE_STEPS
        moved = cuts[place] + step
        if rng.random() < 0.25:  # past its neighbours: a model is left out, or taken in
            cuts[place] = min(max(moved, 0), SHARE_STEPS)
            cuts.sort()
        else:
            cuts[place] = min(max(moved, low), high)
        return draft._replace(cuts=tuple(cuts))

    def _add(self, draft: Draft, other: Draft, rng: np.random.Generator) -> Draft:
        del other
        index = self._one_held(draft, rng)
        if rng.random() < 0.5:
            index = self._another(index, rng)
        return _with(draft, {index: 1})

    def _remove(self, draft: Draft, other: Draft, rng: np.random.Generator) -> Draft:
        del other
        index, held = draft.placed[int(rng.integers(len(draft.placed)))]
        return _with(draft, {index: -held if rng.random() < 0.2 else -1})

    def _swap(self, draft: Draft, other: Draft, rng: np.random.Generator) -> Draft:
        """Run some replicas in another way: as many GPUs, as much capacity, or as many replicas."""
        del other
        index, held = draft.placed[int(rng.integers(len(draft.placed)))]
        target = self._another(index, rng)
        if target == index:
            return draft
        gone = held if rng.random() < 0.5 else 1
        old, new = self._options[index], self._options[target]
        ratio = (old.gpus / new.gpus, old.capacity_per_s / new.capacity_per_s, 1.0)
        wanted = gone * ratio[int(rng.integers(3))]
        return _with(draft, {index: -gone, target: max(math.floor(wanted + rng.random()), 1)})

    def _anew(self, draft: Draft, other: Draft, rng: np.random.Generator) -> Draft:
        """Place a model on one option, as full as chance has it."""
        del other
        model = self._options[self._one_held(draft, rng)].model
        target = self._of_model[model][int(rng.integers(len(self._of_model[model])))]
        load = routing_of(draft.cuts, self._problem).asked[model] * self._rate
        fullness = _EMPTIEST + (_BUSIEST - _EMPTIEST) * rng.random()
        replicas = max(round(load / fullness / self._options[target].capacity_per_s), 1)
        rest = [(i, n) for i, n in draft.placed if self._options[i].model != model]
        return draft._replace(placed=tuple(sorted([*rest, (target, replicas)])))

    def _borrow_placement(self, draft: Draft, other: Draft, rng: np.random.Generator) -> Draft:
        model = self._options[self._one_held(other, rng)].model
        own = [(i, n) for i, n in draft.placed if self._options[i].model != model]
        theirs = [(i, n) for i, n in other.placed if self._options[i].model == model]
        return draft._replace(placed=tuple(sorted([*own, *theirs])))

    def _borrow_cuts(self, draft: Draft, other: Draft, rng: np.random.Generator) -> Draft:
        del rng
        return draft._replace(cuts=other.cuts)

    def _one_held(self, draft: Draft, rng: np.random.Generator) -> int:
        return draft.placed[int(rng.integers(len(draft.placed)))][0]

    def _another(self, index: int, rng: np.random.Generator) -> int:
        same = self._of_model[self._options[index].model]
        return same[int(rng.integers(len(same)))]


def _with(draft: Draft, more: Counts) -> Draft:
    """A draft with replicas added, or taken away, by index of the option."""
    counts = dict(draft.placed)
    for index, replicas in more.items():
        counts[index] = counts.get(index, 0) + replicas
    return draft._replace(placed=tuple(sorted((i, n) for i, n in counts.items() if n > 0)))
