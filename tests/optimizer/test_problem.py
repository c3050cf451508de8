from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from boute.context import Context
from boute.errors import InfeasibleError
from boute.evaluate import evaluate
from boute.metrics import METRICS
from boute.optimizer.decoder import Rejection
from boute.optimizer.problem import Problem
from boute.optimizer.seeds import greedy_points
from boute.optimizer.trial import Trial
from boute.plan.decision import Decision

ContextOf = Callable[..., Context]


def test_trials_are_scaled_and_judged(problem: Problem, tried: Callable[..., list[Trial]]) -> None:
    for trial in tried(problem, 8):
        assert trial.outcome is not None
        assert trial.values is not None
        raw = np.array([trial.outcome.value(name) for name in problem.objectives])
        scale = problem.scale
        assert trial.values == pytest.approx((raw - scale.best) / (scale.worst - scale.best))
        missed = problem.missed(trial.outcome)
        assert trial.violation == pytest.approx(sum(missed.values()))
        assert trial.feasible == (not missed)


def test_what_is_rejected_counts_as_worse_than_what_is_not(problem: Problem) -> None:
    trial = problem.rejected((0.5,), Rejection("budget", "costs too much", 0.5))
    assert not trial.feasible
    assert trial.violation == 10.5


def test_a_promise_knows_cost_and_quality(problem: Problem) -> None:
    point = (0.4,) * problem.encoding.dimensions
    decision = problem.decode(point)
    assert isinstance(decision, Decision)
    promised, _ = problem.promised(problem.estimator.estimate(decision))
    outcome = evaluate(decision, problem.context.workload, problem.context)
    trial = problem.evaluated(point, decision, outcome)
    assert trial.values is not None
    exact = [problem.objectives.index(name) for name in ("quality", "cost_per_hour")]
    assert promised[exact] == pytest.approx(trial.values[exact])


def test_the_scale_is_the_same_for_every_search(context: Context, problem: Problem) -> None:
    again = Problem(context).scale
    assert again.best.tolist() == problem.scale.best.tolist()
    assert again.worst.tolist() == problem.scale.worst.tolist()


def test_the_reference_point_is_a_little_past_the_targets(context_of: ContextOf) -> None:
    targets = {"e2e_p95_s": 30.0, "quality_min": 0.7, "budget_per_hour": 25.0}
    scale = Problem(context_of(targets=targets)).scale
    at_targets = {"e2e_p95_s": 30.0, "quality": 0.7, "cost_per_hour": 25.0}
    values = scale.normalise(np.array([at_targets[name] for name in scale.objectives]))
    assert values == pytest.approx(np.full(3, 1.0 / 1.01))


def test_without_a_floor_the_worst_model_counts(context_of: ContextOf) -> None:
    problem = Problem(context_of(targets={}))
    lowest = float(problem.context.quality.mean(axis=0).min())
    assert lowest > problem.scale.worst[problem.objectives.index("quality")]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_an_objective(context_of: ContextOf, metric: str) -> None:
    other = "quality" if metric != "quality" else "cost_per_hour"
    current = [{"model": "llama-3.1-8b", "gpu": "l40s", "replicas": 2}]
    problem = Problem(context_of(objectives=[metric, other], targets={}, current=current))
    assert np.all(np.isfinite([problem.scale.best, problem.scale.worst]))


@pytest.mark.parametrize("floor", [0.0, 0.99, 1.0])
def test_a_floor_beyond_reach_still_gives_a_scale(context_of: ContextOf, floor: float) -> None:
    scale = Problem(context_of(targets={"quality_min": floor})).scale
    assert scale.best[0] > scale.worst[0]


def test_a_budget_for_one_plan_only_is_no_reason_to_give_up(context_of: ContextOf) -> None:
    """Chance gives the large model a share nearly always; nothing but the small one is paid for."""
    problem = Problem(context_of(targets={"budget_per_hour": 1.0}))
    found = [problem.decode(point) for point in greedy_points(problem)]
    cheapest = [decision for decision in found if isinstance(decision, Decision)]
    assert cheapest
    for decision in cheapest:
        assert [pool.model for pool in decision.pools] == ["llama-3.1-8b"]


@pytest.mark.parametrize(
    ("changes", "constraint", "mend"),
    [
        ({"targets": {"budget_per_hour": 0.5}}, "budget", "add cheaper GPUs"),
        (
            {"models": ["llama-3.1-405b", "llama-3.1-70b"], "gpus": {"l40s": {"count": 1}}},
            "memory",
            "add a GPU with more memory",
        ),
        (
            {
                "gpus": {"l40s": {"count": 1}},
                "models": ["llama-3.1-8b"],
                "workload": {
                    "trace": "azure-conversation",
                    "duration_s": 20,
                    "rate_scale": 40,
                },
            },
            "inventory",
            "add GPUs",
        ),
    ],
    ids=["budget", "memory", "inventory"],
)
def test_when_nothing_can_be_placed_the_binding_constraint_is_named(
    context_of: ContextOf, changes: dict[str, Any], constraint: str, mend: str
) -> None:
    context = context_of(**changes)
    with pytest.raises(InfeasibleError) as info:
        Problem(context)
    assert info.value.exit_code == 3
    assert f"{constraint} binds" in info.value.problem
    assert mend in info.value.mend


def test_the_best_that_a_budget_can_reach_is_the_cheapest_plan(context_of: ContextOf) -> None:
    with pytest.raises(InfeasibleError, match=r"costs \$0\.99 an hour, the budget is \$0\.50"):
        Problem(context_of(targets={"budget_per_hour": 0.5}))
