from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from boute.optimizer.decoder import Rejection
from boute.optimizer.problem import Problem
from boute.optimizer.trial import Trial


def test_a_trial_is_either_rejected_or_evaluated(
    problem: Problem, tried: Callable[..., list[Trial]]
) -> None:
    (trial,) = tried(problem, 1)
    rejection = Rejection("budget", "costs too much", 0.1)
    changes = ({"rejection": rejection}, {"outcome": None}, {"decision": None}, {"values": None})
    for change in changes:
        with pytest.raises(ValueError, match="either rejected or evaluated"):
            replace(trial, **change)  # type: ignore[arg-type]


def test_only_a_trial_that_misses_nothing_is_feasible(
    problem: Problem, tried: Callable[..., list[Trial]]
) -> None:
    (trial,) = tried(problem, 1)
    assert replace(trial, violation=0.0).feasible
    assert not replace(trial, violation=1e-9).feasible
    assert not Trial((0.5,), None, None, Rejection("budget", "costs", 0.0), None, 0.0).feasible
