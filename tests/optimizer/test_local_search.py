from __future__ import annotations

from itertools import pairwise

import numpy as np

from boute.optimizer.draft import draft_of
from boute.optimizer.fidelity.looker import Looker
from boute.optimizer.fidelity.simulated import SimulatedParts
from boute.optimizer.local_search import LocalSearch
from boute.optimizer.pareto import hypervolume
from boute.optimizer.problem import Problem
from boute.optimizer.seeds import seeds

NOTHING = np.empty((0, 3))


def begun(problem: Problem) -> LocalSearch:
    search = LocalSearch(problem, Looker(problem, SimulatedParts(problem, 10**6)))
    search.look_at(draft_of(decision, problem) for decision in seeds(problem, 0))
    return search


def volume(search: LocalSearch) -> float:
    return hypervolume(np.array([member.values for member in search.archive.members]))


def test_it_only_gets_better_and_repeats_itself(problem: Problem) -> None:
    first, second = begun(problem), begun(problem)
    volumes = [volume(first)]
    for round_ in range(4):
        for search in (first, second):
            search.run(60_000, np.random.default_rng(round_))
        volumes.append(volume(first))
    # A member may give way to one in the same box that is a little worse in one objective.
    assert all(after > before - 0.01 for before, after in pairwise(volumes))
    assert volumes[-1] > volumes[0]
    assert list(first.looked) == list(second.looked)


def test_work_is_bounded(problem: Problem) -> None:
    search = begun(problem)
    before = len(search.looked)
    search.run(0, np.random.default_rng(0))
    assert len(search.looked) == before
    decisions = [draft_of(decision, problem) for decision in seeds(problem, 1)]
    search.look_at(decisions, work=1)
    assert len(search.looked) <= before + 1


def test_the_best_add_most_to_a_front(problem: Problem) -> None:
    search = begun(problem)
    search.run(60_000, np.random.default_rng(0))
    best = search.best(5, NOTHING)
    assert len(best) == 5
    gains = []
    front = NOTHING
    for looked in best:
        more = np.vstack([front, [looked.values]])
        gains.append(hypervolume(more) - hypervolume(front))
        front = more
    assert gains == sorted(gains, reverse=True)
    without = {looked.draft for looked in best}
    assert not without & {looked.draft for looked in search.best(5, NOTHING, without)}
    everything = np.array([member.values for member in search.archive.members])
    assert search.best(5, everything) == []
