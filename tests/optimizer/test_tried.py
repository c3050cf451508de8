from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.optimizer import tried as tried_module
from boute.optimizer.draft import draft_of
from boute.optimizer.pareto import nondominated
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.trial import Trial
from boute.optimizer.tried import Tried

TrialsOf = Callable[..., list[Trial]]


@pytest.fixture(scope="module")
def trials(problem: Problem, tried: TrialsOf) -> list[Trial]:
    return tried(problem, points=sobol_points(problem.encoding.dimensions, 64, 5))


def kept(problem: Problem, trials: list[Trial]) -> Tried:
    found = Tried(problem)
    for trial in trials:
        found.add(trial)
    return found


def keys(trials: list[Trial]) -> list[str]:
    return [trial.decision.key for trial in trials if trial.decision is not None]


def test_what_is_no_plan_is_not_kept(problem: Problem, trials: list[Trial]) -> None:
    found = Tried(problem)
    for trial in trials:
        draft = found.add(trial)
        assert (draft is None) == (trial.decision is None)
        if trial.decision is not None:
            assert draft == draft_of(trial.decision, problem)
    assert len(found) == len(set(keys(trials)))
    assert {draft_of(t.decision, problem) for t in trials if t.decision is not None} == found.drafts


def test_the_front_is_of_what_meets_everything_and_is_beaten_by_nothing(
    problem: Problem, trials: list[Trial]
) -> None:
    found = kept(problem, trials)
    assert found.front().shape == (len(found.best()), len(problem.objectives))
    assert 1 < len(found.best()) < len(found)
    for trial in trials:
        if trial.feasible and trial.values is not None:
            assert np.any(np.all(found.front() <= trial.values, axis=1))
    assert all(nondominated(found.front()))
    assert Tried(problem).front().shape == (0, len(problem.objectives))


def test_of_many_trials_the_front_and_the_newest_are_lessons(
    problem: Problem, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = kept(problem, trials)
    assert keys(found.lessons()) == list(dict.fromkeys(keys(trials)))

    front = set(keys(found.best()))
    monkeypatch.setattr(tried_module, "LESSONS", len(front) + 2)
    assert front <= set(keys(found.lessons()))
    assert len(found.lessons()) == len(front) + 2
    assert keys(trials)[-1] in keys(found.lessons())
