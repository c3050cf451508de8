"""Thinned workloads: pooled as their weights say, near the whole, and within the stated error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.context import Context, prepare
from boute.evaluate import evaluate, latency_curves, offered_load
from boute.migration import Migration
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.plan.decision import Decision
from boute.pooling import Ranked
from boute.spec.model import RunningPool, Spec
from boute.world import whole_workload

GENERATOR = {
    "arrivals": "diurnal",
    "rate_per_s": 10,
    "duration_s": 14_400,
    "period_s": 14_400,
    "amplitude": 0.5,
    "input_tokens": {"median": 500, "sigma": 0.8, "maximum": 4000},
    "output_tokens": {"median": 120, "sigma": 0.6, "maximum": 800},
}
ASKED = ("ttft_p95_s", "tpot_p95_s", "e2e_p95_s")


@pytest.fixture(scope="module")
def context(small_spec: Callable[..., dict[str, Any]]) -> Context:
    workload = {"generator": GENERATOR, "thin_to": 20_000}
    return prepare(Spec.model_validate(small_spec(workload=workload)), Path())


@pytest.fixture(scope="module")
def decisions(context: Context) -> list[Decision]:
    problem = Problem(context)
    points = sobol_points(problem.encoding.dimensions, 16, seed=2)
    found = [problem.decode(point) for point in points]
    return [decision for decision in found if isinstance(decision, Decision)][:3]


def test_a_thinned_workload_tells_the_rates_of_the_whole(context: Context) -> None:
    workload = context.workload
    assert workload.thinning is not None
    assert len(workload) < 30_000
    assert workload.rate_per_s == workload.thinning.requests / 14_400
    assert 1.3 < workload.peak_rate_per_s / workload.rate_per_s < 1.8


def test_the_whole_trace_says_the_same_within_the_stated_error(
    context: Context, decisions: list[Decision]
) -> None:
    """Twice the 95% half-width, as nine figures are compared; the seed decides, not chance."""
    for decision in decisions:
        thinned = evaluate(decision, context.workload, context)
        whole = evaluate(decision, whole_workload(context, decision), context)
        assert set(thinned.thinning_error) == set(ASKED)
        assert not whole.thinning_error
        for metric in ASKED:
            error = 2.0 * thinned.thinning_error[metric]
            assert thinned.value(metric) == pytest.approx(whole.value(metric), abs=error)
            assert thinned.thinning_error[metric] < 0.2 * thinned.value(metric)
        assert thinned.requests == whole.requests
        assert thinned.quality == whole.quality
        assert thinned.cost_per_hour == whole.cost_per_hour
        assert thinned.goodput_per_s == pytest.approx(whole.goodput_per_s, rel=0.02)
        assert thinned.energy_j_per_token == pytest.approx(whole.energy_j_per_token, rel=0.05)
        assert sum(pool.requests for pool in thinned.pools) == pytest.approx(whole.requests, abs=5)
        assert thinned.pools[0].requests == pytest.approx(whole.pools[0].requests, rel=0.1)


def test_it_tells_how_far_a_plan_is_from_what_runs(
    context: Context, decisions: list[Decision]
) -> None:
    runs = [RunningPool(model="llama-3.1-8b", gpu="l40s", replicas=2)]
    moving = replace(context, spec=context.spec.model_copy(update={"current": runs}))
    outcome = evaluate(decisions[0], moving.workload, moving)
    told = Migration(moving).metrics(decisions[0])
    assert {name: outcome.value(name) for name in told} == told
    assert evaluate(decisions[0], context.workload, context).moved_gpus is None


def test_it_is_pure_and_utilisation_is_that_of_the_busiest_window(
    context: Context, decisions: list[Decision]
) -> None:
    decision = decisions[0]
    outcome = evaluate(decision, context.workload, context)
    again = evaluate(decision, context.workload, context)
    assert outcome.model_dump_json() == again.model_dump_json()
    assert outcome.utilisation == offered_load(decision, context.workload, context)
    whole = evaluate(decision, whole_workload(context, decision), context)
    peak = context.workload.peak_rate_per_s / context.workload.rate_per_s
    assert outcome.utilisation == pytest.approx(peak * whole.utilisation, rel=0.1)


def test_a_fleet_that_the_busiest_window_overloads_is_unstable(
    context: Context, decisions: list[Decision]
) -> None:
    """Though its mean load is below what it carries."""
    assert context.workload.thinning is not None
    decision = decisions[0]
    peak = context.workload.peak_rate_per_s / offered_load(decision, context.workload, context)
    thinning = replace(context.workload.thinning, peak_rate_per_s=1.01 * peak)
    overloaded = replace(context.workload, thinning=thinning)
    assert evaluate(decision, context.workload, context).verdict != "unstable"
    assert evaluate(decision, overloaded, context).verdict == "unstable"


def test_curves_pass_through_the_percentiles(context: Context, decisions: list[Decision]) -> None:
    outcome = evaluate(decisions[0], context.workload, context)
    curves = latency_curves(decisions[0], context, [0.5, 0.9, 0.95, 0.99])
    for name, latency in {"ttft": outcome.ttft, "tpot": outcome.tpot, "e2e": outcome.e2e}.items():
        assert curves[name] == (latency.p50, latency.p90, latency.p95, latency.p99)


@given(
    values=st.lists(st.floats(0, 100), min_size=1, max_size=30),
    weights=st.lists(st.integers(0, 4), min_size=3, max_size=3).filter(any),
    share=st.floats(0.01, 1.0),
)
def test_a_weighted_percentile_is_that_of_requests_repeated(
    values: list[float], weights: list[int], share: float
) -> None:
    window = np.arange(len(values)) % 3
    ranked = Ranked(np.array(values), window)
    found = ranked.quantiles(np.array(weights, float), [share])[0]
    repeated = np.repeat(values, np.array(weights)[window])
    if len(repeated) == 0:
        assert found == 0.0
        return
    assert found == np.quantile(repeated, share * (1 - 1e-12), method="inverted_cdf")
    assert ranked.mean(np.array(weights, float)) == pytest.approx(repeated.mean())


def test_errors_are_of_what_the_spec_asks(context: Context, decisions: list[Decision]) -> None:
    spec = context.spec.model_copy(
        update={"objectives": ["quality", "goodput_per_s", "e2e_mean_s", "energy_j_per_token"]}
    )
    found = evaluate(decisions[0], context.workload, replace(context, spec=spec)).thinning_error
    assert set(found) == {
        "goodput_per_s",
        "e2e_mean_s",
        "energy_j_per_token",
        "ttft_p95_s",
        "tpot_p95_s",
    }
    assert all(error > 0.0 for error in found.values())
