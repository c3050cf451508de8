from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from boute.context import Context
from boute.evaluate import evaluate
from boute.optimizer.constraints import misses
from boute.optimizer.load_margin import MOST, RESOLUTION, load_margin
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.outcome import Outcome
from boute.plan.decision import Decision
from boute.spec.targets import Targets

LOADS = np.geomspace(1.0, MOST, 64)


@pytest.fixture(scope="module")
def decisions(context: Context, problem: Problem) -> list[Decision]:
    """Plans that keep up to some load and not from there on.

    A pool of a few requests may keep up at one load, not at a slightly higher one and then again,
    as chance has it which of them comes last: there is no one margin then.
    """
    free = with_targets(context)
    points = sobol_points(problem.encoding.dimensions, 12, seed=11)
    found = [problem.decode(point) for point in points]
    plans = [decision for decision in found if isinstance(decision, Decision)]
    chosen = [plan for plan in plans if gives_up_for_good(plan, free)]
    assert len(chosen) > 4
    return chosen


def gives_up_for_good(decision: Decision, context: Context) -> bool:
    unstable = [outcome_at(decision, context, load).verdict == "unstable" for load in LOADS]
    return unstable == sorted(unstable)


def with_targets(context: Context, **targets: float) -> Context:
    spec = context.spec.model_copy(update={"targets": Targets(**targets)})
    return replace(context, spec=spec)


def outcome_at(decision: Decision, context: Context, load: float) -> Outcome:
    workload = context.workload
    faster = replace(
        workload, arrival_s=workload.arrival_s / load, duration_s=workload.duration_s / load
    )
    return evaluate(decision, faster, context)


def test_up_to_the_margin_all_is_kept_and_beyond_the_limit_is_missed(
    context: Context, decisions: list[Decision]
) -> None:
    tight = with_targets(context, ttft_p95_s=1.0, tpot_p95_s=0.06)
    limits = set()
    for decision in decisions:
        margin, limit = load_margin(decision, tight, outcome_at(decision, tight, 1.0))
        targets = tight.spec.targets
        if misses(outcome_at(decision, tight, 1.0), targets):
            assert margin == 0.0
            continue
        assert not misses(outcome_at(decision, tight, 1.0 + margin), targets)
        beyond = misses(outcome_at(decision, tight, (1.0 + margin) * RESOLUTION), targets)
        assert limit in beyond
        limits.add(limit)
    assert limits


def test_a_plan_that_misses_a_target_has_no_margin(
    context: Context, decisions: list[Decision]
) -> None:
    hopeless = with_targets(context, ttft_p95_s=1e-4)
    assert load_margin(decisions[0], hopeless, outcome_at(decisions[0], hopeless, 1.0)) == (
        0.0,
        "ttft_p95_s",
    )


def test_without_targets_stability_ends_it(context: Context, decisions: list[Decision]) -> None:
    free = with_targets(context)
    for decision in decisions:
        margin, limit = load_margin(decision, free, outcome_at(decision, free, 1.0))
        if limit is None:
            assert margin == MOST - 1.0
            continue
        assert limit == "stability"
        if outcome_at(decision, free, 1.0).verdict == "unstable":
            assert margin == 0.0
            continue
        assert outcome_at(decision, free, 1.0 + margin).verdict != "unstable"
        assert outcome_at(decision, free, (1.0 + margin) * RESOLUTION).verdict == "unstable"
