from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.context import Context
from boute.optimizer import bargains as bargains_module
from boute.optimizer.archive import Looked
from boute.optimizer.bargains import MOST, Bargains
from boute.optimizer.draft import draft_of
from boute.optimizer.fidelity.looker import Looker
from boute.optimizer.fidelity.simulated import SimulatedParts
from boute.optimizer.local_search import LocalSearch
from boute.optimizer.problem import Problem
from boute.optimizer.seeds import ends, seeds
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.trial import Trial
from boute.optimizer.tried import Tried
from boute.plan.decision import Decision

TrialsOf = Callable[..., list[Trial]]


@pytest.fixture(scope="module")
def found(problem: Problem, tried: TrialsOf) -> Tried:
    kept = Tried(problem)
    for trial in tried(problem, points=sobol_points(problem.encoding.dimensions, 32, 2)):
        kept.add(trial)
    return kept


@pytest.fixture
def level(problem: Problem) -> LocalSearch:
    made = LocalSearch(problem, Looker(problem, SimulatedParts(problem, 32_768)))
    made.look_at(draft_of(plan, problem) for plan in seeds(problem, 0))
    return made


def savings(looked: Looked, tried: Tried, problem: Problem) -> float:
    """How many times as dear the cheapest tried plan is that does as much; the slow way."""
    price = problem.objectives.index("cost_per_hour")
    others = [place for place in range(len(problem.objectives)) if place != price]
    dear = [
        float(values[price])
        for values in tried.front()
        if all(values[place] <= looked.values[place] + 1e-6 for place in others)
    ]
    return min([*dear, 1.0]) / float(looked.values[price])


def test_the_one_of_the_archive_saves_most(
    problem: Problem, found: Tried, level: LocalSearch
) -> None:
    bargains = Bargains(problem, found)
    untried = [m for m in level.archive.members if m.draft not in found.drafts]
    best = max(untried, key=lambda looked: savings(looked, found, problem))
    assert savings(best, found, problem) > 1.05
    assert bargains.best(level) == [best]


def test_ends_come_once_enough_was_tried_one_beyond_it_and_what_saves_most(
    problem: Problem, found: Tried, level: LocalSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    bargains = Bargains(problem, found)
    plans = ends(problem)
    bargains.add(plans)
    bargains.look(level, 10**9)
    assert {draft_of(plan, problem) for plan in plans} <= set(level.looked)
    assert len(bargains.best(level)) == 1

    monkeypatch.setattr(bargains_module, "EARLY", len(found))
    chosen = bargains.best(level)
    known = [level.looked[draft_of(plan, problem)] for plan in plans]
    within = [
        looked
        for looked in known
        if looked.violation == 0.0 and np.all(looked.values < 1.0)
        if looked.draft not in found.drafts
    ]
    least = found.front().min(axis=0)
    beyond = next(looked for looked in within if np.any(looked.values < least - 1e-6))
    cheap = sorted(within, key=lambda looked: -savings(looked, found, problem))
    assert chosen == list(dict.fromkeys([chosen[0], beyond, *cheap]))[:MOST]
    assert chosen[0] in level.archive.members
    assert savings(chosen[-1], found, problem) > 1.0


def test_looks_at_ends_end_with_their_work(problem: Problem, level: LocalSearch) -> None:
    bargains = Bargains(problem, Tried(problem))
    bargains.add(ends(problem))
    before = len(level.looked)
    bargains.look(level, 1)
    assert len(level.looked) == before + 1


def test_routings_of_the_front_are_placed_anew_each_once_the_cheapest_first(
    problem: Problem, found: Tried, level: LocalSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[list[Decision]] = []
    bargains = Bargains(problem, found)
    monkeypatch.setattr(bargains, "add", lambda plans: made.append(list(plans)))
    bargains.place_anew()
    assert made == []

    monkeypatch.setattr(bargains_module, "EARLY", len(found))
    for _ in range(len(found)):
        bargains.place_anew()
    cuts = [list(dict.fromkeys(draft_of(plan, problem).cuts for plan in plans)) for plans in made]
    flat = [each for some in cuts for each in some]
    assert len(flat) == len(set(flat)) > 1
    cheapest = min(found.best(), key=lambda t: t.outcome.cost_per_hour if t.outcome else np.inf)
    assert cheapest.decision is not None
    assert flat[0] == draft_of(cheapest.decision, problem).cuts


def test_without_cost_as_an_objective_there_are_none(
    problem: Problem, tried: TrialsOf, context_of: Callable[..., Context]
) -> None:
    other = Problem(context_of(objectives=["quality", "e2e_p95_s"]))
    kept = Tried(other)
    for trial in tried(other, points=sobol_points(other.encoding.dimensions, 8, 2)):
        kept.add(trial)
    looks = LocalSearch(other, Looker(other, SimulatedParts(other, 32_768)))
    looks.look_at(draft_of(plan, other) for plan in seeds(other, 0))
    assert looks.archive.members
    assert Bargains(other, kept).best(looks) == []
