from __future__ import annotations

import pytest

from boute.evaluate import evaluate
from boute.optimizer.constraints import misses
from boute.optimizer.problem import Problem
from boute.outcome import Outcome
from boute.plan.decision import Decision
from boute.spec.targets import Targets


@pytest.fixture(scope="module")
def outcome(problem: Problem) -> Outcome:
    decision = problem.decode((0.5,) * problem.encoding.dimensions)
    assert isinstance(decision, Decision)
    found = evaluate(decision, problem.context.workload, problem.context)
    return found.model_copy(update={"verdict": "stable"})


def test_what_is_met_is_no_miss(outcome: Outcome) -> None:
    assert misses(outcome, Targets()) == {}
    generous = Targets(ttft_p95_s=1e4, quality_min=0.0, budget_per_hour=1e6)
    assert misses(outcome, generous) == {}


def test_values_at_the_limit_are_met(outcome: Outcome) -> None:
    exact = Targets(
        e2e_p95_s=outcome.e2e.p95,
        quality_min=outcome.quality,
        budget_per_hour=outcome.cost_per_hour,
    )
    assert misses(outcome, exact) == {}


def test_misses_are_relative(outcome: Outcome) -> None:
    targets = Targets(
        ttft_p99_s=outcome.ttft.p99 / 1.5,
        tpot_p50_s=outcome.tpot.p50 / 3.0,
        quality_min=min(outcome.quality * 1.2, 1.0),
        budget_per_hour=outcome.cost_per_hour / 2.0,
    )
    expected = {
        "ttft_p99_s": 0.5,
        "tpot_p50_s": 2.0,
        "quality_min": min(outcome.quality * 1.2, 1.0) / outcome.quality - 1.0,
        "budget_per_hour": 1.0,
    }
    assert misses(outcome, targets) == pytest.approx(expected)


def test_an_unstable_plan_misses_by_at_least_its_load(outcome: Outcome) -> None:
    unstable = outcome.model_copy(update={"verdict": "unstable"})
    for utilisation, miss in ((0.9, 1.0), (1.0, 1.0), (1.75, 1.75)):
        loaded = unstable.model_copy(update={"utilisation": utilisation})
        assert misses(loaded, Targets()) == {"stability": pytest.approx(miss)}
    strained = outcome.model_copy(update={"verdict": "strained"})
    assert misses(strained, Targets()) == {}


def test_moves_may_be_limited_to_none(outcome: Outcome) -> None:
    moved = outcome.model_copy(update={"moved_gpus": 3, "migration_s": 90.0})
    targets = Targets(moved_gpus_max=0, migration_max_s=60.0)
    expected = {"moved_gpus_max": 3.0, "migration_max_s": 0.5}
    assert misses(moved, targets) == pytest.approx(expected)
    still = outcome.model_copy(update={"moved_gpus": 0, "migration_s": 0.0})
    assert misses(still, targets) == {}
