from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.context import Context
from boute.evaluate import evaluate
from boute.metrics import METRICS, MIGRATION
from boute.optimizer.estimate import Estimator
from boute.optimizer.options import OptionTable
from boute.optimizer.problem import Problem
from boute.plan.decision import Decision

TOLD = set(METRICS) - set(MIGRATION)  # where it is not known what runs
SEEDS = st.integers(0, 2**32 - 1)


def decided(problem: Problem, seed: int, headroom: float) -> Decision:
    """A plan of chance with all pools filled alike."""
    point = np.random.default_rng(seed).random(problem.encoding.dimensions)
    k = problem.encoding.models
    point[-2 * k : -k] = headroom
    found = problem.decode(tuple(float(v) for v in point))
    assert isinstance(found, Decision)
    return found


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, headroom=st.floats(0.0, 1.0))
def test_every_metric_is_there_and_finite(problem: Problem, seed: int, headroom: float) -> None:
    estimate = problem.estimator.estimate(decided(problem, seed, headroom))
    assert set(estimate.metrics) == TOLD
    for name in TOLD:
        assert np.isfinite(estimate.metrics[name]), name
        assert estimate.metrics[name] >= 0.0, name
    assert np.isfinite(estimate.utilisation)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, headroom=st.floats(0.0, 1.0))
def test_quality_and_cost_are_exact(problem: Problem, seed: int, headroom: float) -> None:
    context = problem.context
    decision = decided(problem, seed, headroom)
    estimate = problem.estimator.estimate(decision)
    outcome = evaluate(decision, context.workload, context)
    assert estimate.metrics["quality"] == outcome.quality
    assert estimate.metrics["cost_per_hour"] == pytest.approx(outcome.cost_per_hour)
    expected = (outcome.quality, outcome.quality_low, outcome.quality_high)
    assert problem.estimator.quality(decision) == expected


@pytest.mark.parametrize("seed", range(6))
def test_on_light_load_it_is_near_the_simulator(problem: Problem, seed: int) -> None:
    """Within a factor of two, where queues and bursts hardly matter."""
    context = problem.context
    decision = decided(problem, seed, headroom=1.0)
    estimate = problem.estimator.estimate(decision)
    outcome = evaluate(decision, context.workload, context)
    for name in ("tpot_p50_s", "tpot_mean_s", "e2e_p50_s", "e2e_p95_s", "ttft_p50_s"):
        ratio = estimate.metrics[name] / outcome.value(name)
        assert 0.5 < ratio < 2.0, (name, ratio)
    assert estimate.utilisation == pytest.approx(outcome.utilisation, rel=0.35)
    assert estimate.metrics["slo_attainment"] == pytest.approx(outcome.slo_attainment, abs=0.15)
    assert estimate.metrics["energy_j_per_token"] == pytest.approx(
        outcome.energy_j_per_token, rel=0.7
    )
    assert estimate.metrics["cost_per_million_tokens"] == pytest.approx(
        outcome.cost_per_million_tokens, rel=0.35
    )


def test_a_fuller_fleet_is_slower_and_cheaper(problem: Problem) -> None:
    all_on_8b_on_l40s = (1.0, *(1.0, 0.0) * 2)
    decisions = [problem.decode((*all_on_8b_on_l40s, h, h, 0.0, 0.0)) for h in (1.0, 0.0)]
    empty, full = (problem.estimator.estimate(d) for d in decisions if isinstance(d, Decision))
    assert full.utilisation > empty.utilisation
    assert full.metrics["cost_per_hour"] < empty.metrics["cost_per_hour"]
    assert full.metrics["e2e_p95_s"] > empty.metrics["e2e_p95_s"]


def test_percentiles_ascend(problem: Problem) -> None:
    metrics = problem.estimator.estimate(decided(problem, 3, 0.3)).metrics
    for latency in ("ttft", "tpot", "e2e", "queue"):
        values = [metrics[f"{latency}_{statistic}_s"] for statistic in ("p50", "p90", "p95", "p99")]
        assert values == sorted(values)


def test_a_workload_shorter_than_the_sample_is_taken_whole(
    context_of: Callable[..., Context],
) -> None:
    context = context_of(
        workload={"trace": "azure-conversation", "duration_s": 120, "max_requests": 3}
    )
    problem = Problem(context)
    estimate = Estimator(context, OptionTable(context)).estimate(decided(problem, 0, 0.5))
    assert all(np.isfinite(estimate.metrics[name]) for name in TOLD)
