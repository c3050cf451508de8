"""What is particular to MOBO: how many trials it learns from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.optimizer import mobo
from boute.optimizer.mobo import Mobo
from boute.optimizer.pareto import nondominated
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.trial import Trial


def test_of_many_trials_it_learns_from_the_front_and_the_newest(
    problem: Problem, tried: Callable[..., list[Trial]], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = sobol_points(problem.encoding.dimensions, 64, 5)
    trials = [trial for trial in tried(problem, points=points) if trial.decision is not None]
    sampler = Mobo(problem, 0)
    sampler.tell(trials)
    keys = [trial.decision.key for trial in trials if trial.decision is not None]
    assert list(sampler._lessons()) == list(dict.fromkeys(keys))

    good = [trial for trial in trials if trial.feasible]
    kept = nondominated(np.array([trial.values for trial in good]))
    front = {
        trial.decision.key
        for trial, keep in zip(good, kept, strict=True)
        if keep and trial.decision is not None
    }
    monkeypatch.setattr(mobo, "LESSONS", len(front) + 2)
    lessons = sampler._lessons()
    assert front <= set(lessons)
    assert len(lessons) == len(front) + 2
    assert keys[-1] in lessons
    assert sampler.ask(2)
