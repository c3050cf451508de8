"""A look is a full evaluation without what nobody asked for; by formula it is the estimate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.context import Context
from boute.evaluate import evaluate
from boute.metrics import METRICS
from boute.optimizer.draft import Draft, decision_of_draft, draft_of
from boute.optimizer.fidelity.looker import Looker, latencies_among
from boute.optimizer.fidelity.simulated import SimulatedParts
from boute.optimizer.fidelity.steady import SteadyParts
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.plan.decision import Decision

OBJECTIVES = (
    ["quality", "e2e_p95_s", "cost_per_hour", "energy_j_per_token"],
    ["ttft_mean_s", "queue_p99_s", "goodput_per_s", "slo_attainment"],
    ["tpot_p50_s", "cost_per_million_tokens"],
)


def drafts(problem: Problem, count: int = 24) -> list[Draft]:
    points = sobol_points(problem.encoding.dimensions, count, 7)
    decoded = [problem.decode(point) for point in points]
    return [draft_of(found, problem) for found in decoded if isinstance(found, Decision)]


@pytest.mark.parametrize("objectives", OBJECTIVES, ids=lambda names: names[0])
def test_a_look_at_the_whole_workload_is_a_full_evaluation(
    objectives: list[str], context_of: Callable[..., Context]
) -> None:
    problem = Problem(context_of(objectives=objectives))
    looker = Looker(problem, SimulatedParts(problem, longest=10**6))
    assert looker.is_exact
    for draft in drafts(problem):
        metrics, unstable = looker.metrics(draft)
        decision = decision_of_draft(draft, problem)
        outcome = evaluate(decision, problem.context.workload, problem.context)
        assert set(objectives) <= set(metrics)
        for name, value in metrics.items():
            assert value == pytest.approx(outcome.value(name), rel=1e-9), name
        assert (unstable > 0.0) == (outcome.verdict == "unstable")
        values, violation = problem.judged(metrics, unstable)
        trial = problem.evaluated((), decision, outcome)
        assert values == pytest.approx(trial.values)
        assert violation == pytest.approx(trial.violation)


def test_by_formula_a_look_is_the_estimate(context_of: Callable[..., Context]) -> None:
    """Percentiles aside, which the estimate takes at the nearest rank."""
    objectives = ["ttft_mean_s", "tpot_mean_s", "energy_j_per_token", "goodput_per_s"]
    problem = Problem(context_of(objectives=objectives, targets={"e2e_p95_s": 9.0}))
    names = tuple(latencies_among(problem.wanted))
    looker = Looker(problem, SteadyParts(problem.context, problem.table, names))
    assert not looker.is_exact
    for draft in drafts(problem):
        metrics, _ = looker.metrics(draft)
        estimate = problem.estimator.estimate(decision_of_draft(draft, problem))
        for name in (*objectives, "quality", "cost_per_hour"):
            assert metrics[name] == pytest.approx(estimate.metrics[name]), name


def test_a_part_is_worked_out_once(problem: Problem) -> None:
    """A change of one model's pools costs the simulation of that model alone."""
    looker = Looker(problem, SimulatedParts(problem, longest=10**6))
    options = problem.table.options
    first = next(d for d in drafts(problem) if len({options[i].model for i, _ in d.placed}) == 2)
    looker.metrics(first)
    whole = looker.work
    index, replicas = first.placed[0]
    changed = first._replace(placed=((index, replicas + 1), *first.placed[1:]))
    looker.metrics(changed)
    one_model = looker.work - whole
    fresh = Looker(problem, SimulatedParts(problem, longest=10**6))
    fresh.metrics(changed)
    assert one_model < fresh.work
    looker.metrics(first)
    looker.metrics(changed)
    again = looker.work - whole - one_model
    assert again < one_model  # putting together only


def test_what_is_forgotten_is_worked_out_again(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, and what a look says does not depend on what is remembered."""
    looker = Looker(problem, SimulatedParts(problem, longest=10**6))
    twice = drafts(problem) * 2
    known = [looker.metrics(draft) for draft in twice]
    monkeypatch.setattr("boute.optimizer.fidelity.looker._REMEMBERED_BYTES", 1)
    small = Looker(problem, SimulatedParts(problem, longest=10**6))
    assert [small.metrics(draft) for draft in twice] == known
    assert small.work > looker.work
    assert len(small._parts) <= 1


def test_a_window_is_not_taken_for_the_whole(problem: Problem) -> None:
    short = Looker(problem, SimulatedParts(problem, longest=50))
    whole = Looker(problem, SimulatedParts(problem, longest=10**6))
    assert not short.is_exact
    draft = drafts(problem)[0]
    near, far = short.metrics(draft)[0], whole.metrics(draft)[0]
    assert near["cost_per_hour"] == far["cost_per_hour"]
    assert near["quality"] == far["quality"]
    assert short.work < whole.work


def test_latencies_are_told_from_other_metrics() -> None:
    found = latencies_among(METRICS)
    assert set(found) == {"ttft", "tpot", "e2e", "queue"}
    assert found["ttft"] == ["mean", "p50", "p90", "p95", "p99"]
    assert latencies_among(["quality", "e2e_p95_s"]) == {"e2e": ["p95"]}


def test_more_of_a_burst_waits_longer(context_of: Callable[..., Context]) -> None:
    """The same requests in bursts: by formula too they wait longer than when they come evenly."""
    generator = {
        "rate_per_s": 6.0,
        "duration_s": 600,
        "input_tokens": {"median": 500},
        "output_tokens": {"median": 200},
    }
    even, bursts = (
        Problem(context_of(workload={"generator": generator | how}, targets={}))
        for how in ({"arrivals": "poisson"}, {"arrivals": "on-off", "burst_factor": 4.0})
    )
    ratios = []
    for draft in drafts(even):
        if not _fits(draft, bursts):
            continue
        waits = []
        for problem in (even, bursts):
            estimate = problem.estimator.estimate(decision_of_draft(draft, problem))
            waits.append(estimate.metrics["ttft_p95_s"])
        ratios.append(waits[1] / waits[0])
    assert len(ratios) > 8
    assert np.median(ratios) > 1.1


def _fits(draft: Draft, problem: Problem) -> bool:
    return all(index < len(problem.table.options) for index, _ in draft.placed)
