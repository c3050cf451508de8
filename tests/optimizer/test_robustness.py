from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

import boute.optimizer.robustness
from boute.context import Context
from boute.evaluate import evaluate
from boute.metrics import is_maximised
from boute.optimizer.constraints import misses
from boute.optimizer.problem import Problem
from boute.optimizer.robustness import (
    CONFIDENCE,
    RESAMPLES,
    as_it_is,
    at_its_worst,
    in_full,
    metrics_of,
)
from boute.optimizer.sobol_points import sobol_points
from boute.outcome import Outcome
from boute.plan.decision import Decision
from boute.resamples import Resamples
from boute.routing.expected import expected_quality
from boute.routing.thresholds import route
from boute.spec.model import Search
from boute.workload.pairing import pair
from boute.workload.source import compress

ContextOf = Callable[..., Context]


@pytest.fixture(scope="module")
def decisions(problem: Problem, resamples: Resamples) -> list[Decision]:
    """Six plans that drain their queues."""
    points = sobol_points(problem.encoding.dimensions, 32, seed=5)
    found = [decision for decision in map(problem.decode, points) if isinstance(decision, Decision)]
    good = (each for each in found if as_it_is(each, resamples).verdict != "unstable")
    return list(islice(good, 6))


@pytest.fixture(scope="module")
def resamples(context: Context) -> Resamples:
    return Resamples(context)


@pytest.fixture(scope="module")
def overloaded(context_of: ContextOf, decisions: list[Decision]) -> Resamples:
    """The same plans under thirty times the load."""
    return Resamples(context_of(workload={"trace": "azure-conversation", "duration_s": 120,
                                          "rate_scale": 30}))  # fmt: skip


def test_intervals_are_the_range_of_what_was_drawn(
    resamples: Resamples, decisions: list[Decision]
) -> None:
    for decision in decisions[:3]:
        outcome = in_full(decision, resamples)
        drawn = [as_it_is(decision, resamples)]
        worlds = [resamples[number] for number in range(RESAMPLES)]
        drawn += [evaluate(decision, world.workload, world) for world in worlds]
        found = outcome.robustness
        assert found is not None
        assert set(found.intervals) == set(metrics_of(resamples.context.spec))
        for metric in {*found.intervals} - {"quality"}:
            values = [each.value(metric) for each in drawn]
            assert found.intervals[metric] == (min(values), max(values))
        targets = resamples.context.spec.targets
        assert found.unstable == np.mean([each.verdict == "unstable" for each in drawn])
        assert found.keeps_targets == np.mean([not misses(each, targets) for each in drawn])
        assert found.resamples == RESAMPLES
        assert found.confidence == CONFIDENCE == pytest.approx(0.9)


def test_the_outcome_itself_is_within_and_otherwise_unchanged(
    resamples: Resamples, decisions: list[Decision]
) -> None:
    for decision in decisions:
        outcome, plain = at_its_worst(decision, resamples), as_it_is(decision, resamples)
        assert outcome.model_copy(update={"robustness": None}) == plain
        for metric in metrics_of(resamples.context.spec):
            low, high = outcome.interval(metric)
            assert low <= outcome.value(metric) <= high
            worse = outcome.pessimistic(metric)
            assert worse == (low if is_maximised(metric) else high)


def test_the_interval_of_quality_is_that_of_the_rows(
    context: Context, resamples: Resamples, decisions: list[Decision]
) -> None:
    """Wilson's interval, and the quantiles of a thousand bootstrap tables agree."""
    decision, rng = decisions[0], np.random.default_rng(0)
    outcome = at_its_worst(decision, resamples)
    thresholds = decision.routing.thresholds
    expected = expected_quality(context.quality, route(context.score, thresholds), CONFIDENCE)
    low, high = outcome.interval("quality")
    assert (low, high) == (expected.low, expected.high)
    assert outcome.quality_low < low < high < outcome.quality_high  # those are 95%
    answered = context.quality[np.arange(len(context.score)), route(context.score, thresholds)]
    means = [rng.choice(answered, len(answered)).mean() for _ in range(1000)]
    assert (low, high) == pytest.approx(np.quantile(means, [0.05, 0.95]), abs=0.004)


def test_a_plan_that_is_unstable_is_not_drawn_again(
    overloaded: Resamples, decisions: list[Decision], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert as_it_is(decisions[0], overloaded).verdict == "unstable"
    monkeypatch.setattr(boute.optimizer.robustness, "simulated", _must_not_be_called)
    found = at_its_worst(decisions[0], overloaded).robustness
    assert found is not None
    assert (found.resamples, found.unstable, found.keeps_targets) == (0, 1.0, 0.0)


def _must_not_be_called(*_: object) -> Outcome:
    raise AssertionError("a resample was simulated")


def test_more_load_is_no_better_at_the_worse_end(
    context: Context, decisions: list[Decision]
) -> None:
    """The blocks of a compressed trace are the compressed blocks: the luck is the same."""
    for decision in decisions[:3]:
        found = [in_full(decision, Resamples(_at(context, scale))) for scale in (1.0, 1.5, 2.25)]
        ends = [outcome.pessimistic("e2e_p95_s") for outcome in found]
        assert ends == sorted(ends)
        kept = [outcome.robustness.keeps_targets for outcome in found if outcome.robustness]
        assert kept == sorted(kept, reverse=True)


def _at(context: Context, scale: float) -> Context:
    trace = compress(context.trace, scale)
    workload = pair(
        trace,
        context.model_names,
        context.score,
        context.table.output_tokens,
        output_length="scaled",
        seed=context.spec.workload.seed,
    )
    return replace(context, trace=trace, workload=workload)


def test_a_robust_problem_judges_by_the_worse_end(
    context: Context, problem: Problem, resamples: Resamples, decisions: list[Decision]
) -> None:
    spec = context.spec.model_copy(update={"search": Search(robust=True)})
    robust = Problem(replace(context, spec=spec))
    assert robust.judge is at_its_worst
    assert problem.judge is as_it_is
    assert robust.scale.worst.tolist() == problem.scale.worst.tolist()
    for decision in decisions:
        point = problem.point_of(decision)
        outcome = at_its_worst(decision, resamples)
        judged, plain = (each.evaluated(point, decision, outcome) for each in (robust, problem))
        assert judged.values is not None
        assert plain.values is not None
        assert np.all(judged.values >= plain.values)
        assert np.any(judged.values > plain.values)  # in quality at least
        assert judged.violation >= plain.violation
        promised, _ = robust.promised(robust.estimator.estimate(decision))
        quality = robust.objectives.index("quality")
        assert promised[quality] == pytest.approx(judged.values[quality])


def test_one_unstable_resample_makes_a_plan_infeasible(
    context: Context, problem: Problem, resamples: Resamples, decisions: list[Decision]
) -> None:
    outcome = at_its_worst(decisions[0], resamples)
    assert outcome.robustness is not None
    once = outcome.robustness.model_copy(update={"unstable": 1 / RESAMPLES})
    outcome = outcome.model_copy(update={"robustness": once})
    spec = context.spec.model_copy(update={"search": Search(robust=True)})
    assert "stability" in Problem(replace(context, spec=spec)).missed(outcome)
    assert "stability" not in problem.missed(outcome)
