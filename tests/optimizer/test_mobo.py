"""What is particular to the default search: exact looks, learning where they are not, recipes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.context import Context
from boute.optimizer.exact import Exact
from boute.optimizer.mobo import Mobo, Recipe
from boute.optimizer.pareto import hypervolume, nondominated
from boute.optimizer.problem import Problem
from boute.optimizer.seeds import ends, placed
from boute.optimizer.trial import Trial

Tried = Callable[..., list[Trial]]

# A window far shorter than the workload of the small problem, so that looks are not exact.
SHORT = Recipe(windows=(60,), surrogate=True)


def searched(
    problem: Problem, tried: Tried, recipe: Recipe, batches: int = 4
) -> tuple[Mobo, list[Trial]]:
    sampler, told = Mobo(problem, 3, recipe), []
    for _ in range(batches):
        trials = tried(problem, points=list(sampler.ask(8)))
        sampler.tell(trials)
        told += trials
    return sampler, told


def test_where_looks_are_exact_every_plan_asked_for_adds_to_the_front(
    problem: Problem, tried: Tried
) -> None:
    """What a look promised is what the evaluation finds."""
    sampler, front = Mobo(problem, 3), np.empty((0, len(problem.objectives)))
    for _ in range(6):
        trials = tried(problem, points=list(sampler.ask(8)))
        for trial in trials:
            assert trial.feasible
            added = np.vstack([front, [trial.values]])
            assert hypervolume(added) > hypervolume(front)
            front = added
        sampler.tell(trials)


@pytest.mark.parametrize(
    "recipe",
    [
        SHORT,
        Recipe(windows=(60,)),
        Recipe(windows=(60, 120), surrogate=True),
        Recipe(formulas=False),
        Recipe(placements=False, guide=False),
        Recipe(local_search=False),
        Recipe(windows=()),
    ],
    ids=str,
)
def test_every_recipe_searches(problem: Problem, tried: Tried, recipe: Recipe) -> None:
    """Parts can be left out; the search is worse then, but sound, and repeats itself."""
    _, told = searched(problem, tried, recipe, batches=3)
    keys = [trial.decision.key for trial in told if trial.decision is not None]
    assert len(keys) == len(set(keys)) > 4
    assert any(trial.feasible for trial in told)
    _, again = searched(problem, tried, recipe, batches=3)
    assert [trial.point for trial in again] == [trial.point for trial in told]


def test_it_is_better_than_its_seeds(problem: Problem, tried: Tried) -> None:
    _, with_search = searched(problem, tried, Recipe())
    _, without = searched(problem, tried, Recipe(local_search=False))
    assert volume(with_search) > volume(without)


def volume(trials: list[Trial]) -> float:
    return hypervolume(np.array([trial.values for trial in trials if trial.feasible]))


def test_the_cheapest_plan_is_found_though_it_adds_next_to_no_volume(
    context: Context, tried: Tried, limited: Callable[..., Context]
) -> None:
    problem = Problem(limited(context, [3, 4], 40.0))
    listed = Exact(problem, 0)
    told: list[Trial] = []
    while plans := list(listed.ask(64)):
        trials = tried(problem, points=plans)
        listed.tell(trials)
        told += trials
    _, found = searched(problem, tried, Recipe(), batches=3)
    assert least_cost(found, problem) <= least_cost(told, problem) * (1.0 + 1e-9)


def least_cost(trials: list[Trial], problem: Problem) -> float:
    """Of plans that keep the targets and are within the reference point, normalised."""
    price = problem.objectives.index("cost_per_hour")
    values = [trial.values for trial in trials if trial.feasible and trial.values is not None]
    return min(float(value[price]) for value in values if (value < 1.0).all())


def test_in_the_end_no_end_of_the_front_is_better_than_what_was_tried(
    problem: Problem, tried: Tried
) -> None:
    """Nor is any routing of the front to be had for less, by the cheapest placement for it."""
    _, told = searched(problem, tried, Recipe(), batches=16)
    good = [trial for trial in told if trial.feasible and trial.decision is not None]
    front = np.array([trial.values for trial in good])
    routings = [
        trial.decision.routing
        for trial, kept in zip(good, nondominated(front), strict=True)
        if kept and trial.decision is not None
    ]
    checked = 0
    for trial in tried(problem, points=[*ends(problem), *placed(problem, routings)]):
        if trial.values is not None and trial.feasible and np.all(trial.values < 1.0):
            assert np.any(np.all(front <= trial.values + 1e-9, axis=1))
            checked += 1
    assert checked > 3
