from __future__ import annotations

from collections.abc import Callable

import pytest

from boute.context import Context
from boute.evaluate import evaluate, offered_load
from boute.optimizer.encoding import Point
from boute.optimizer.ideal import Ideal
from boute.optimizer.problem import Problem
from boute.optimizer.trial import Trial

OBJECTIVES = ("quality", "e2e_p95_s", "cost_per_hour")
ALL = [
    "e2e_mean_s",
    "ttft_p50_s",
    "tpot_p99_s",
    "queue_p95_s",
    "cost_per_million_tokens",
    "energy_j_per_token",
    "slo_attainment",
    "goodput_per_s",
]


@pytest.mark.parametrize("half", [ALL[:4], ALL[4:]])
def test_no_evaluation_is_better_than_the_ideal(
    half: list[str], context_of: Callable[..., Context], tried: Callable[..., list[Trial]]
) -> None:
    problem = Problem(context_of(objectives=half))
    ideal = Ideal(problem)
    trials = [trial for trial in tried(problem, 12) if trial.decision is not None]
    assert len(trials) >= 8
    for trial in trials:
        assert trial.decision is not None
        assert trial.values is not None
        assert (ideal.values(trial.decision) <= trial.values + 1e-12).all()
        if trial.feasible:
            assert not ideal.misses_a_target(trial.decision)


def test_quality_and_price_are_what_they_are(
    problem: Problem, tried: Callable[..., list[Trial]]
) -> None:
    ideal = Ideal(problem)
    assert problem.objectives == OBJECTIVES
    for trial in tried(problem, 4):
        assert trial.decision is not None
        assert trial.values is not None
        assert ideal.values(trial.decision)[[0, 2]].tolist() == trial.values[[0, 2]].tolist()


def test_a_target_that_no_gpu_meets_is_seen_without_simulation(
    context_of: Callable[..., Context],
) -> None:
    problem = Problem(context_of(targets={"tpot_p95_s": 1e-4, "ttft_p95_s": 2.0}))
    point: Point = (0.5,) * problem.encoding.dimensions
    decision = problem.decode(point)
    assert Ideal(problem).misses_a_target(decision)  # type: ignore[arg-type]


def test_offered_load_is_the_utilisation_that_an_evaluation_states(
    problem: Problem, tried: Callable[..., list[Trial]]
) -> None:
    context = problem.context
    for trial in tried(problem, 6):
        assert trial.decision is not None
        outcome = evaluate(trial.decision, context.workload, context)
        assert offered_load(trial.decision, context.workload, context) == outcome.utilisation
