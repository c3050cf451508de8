from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.search.equal import (
    Terms,
    Versus,
    at_equal_budget,
    at_equal_latency,
    throughput,
    versus,
)
from benchmarks.search.judge import Judged

TERMS = Terms(levels=(0.6, 0.8), latency_s=8.0, budget_per_hour=20.0)
KINDS = (at_equal_latency, at_equal_budget, throughput)

plans = st.lists(
    st.builds(
        Judged,
        quality=st.floats(0.5, 0.9),
        latency_s=st.floats(0.5, 10.0),
        cost_per_hour=st.floats(1.0, 25.0),
        feasible=st.booleans(),
        rate=st.none() | st.floats(1.0, 4.0),
    ),
    max_size=8,
)


def plan(quality: float, latency_s: float, cost: float, rate: float | None = None) -> Judged:
    return Judged(quality, latency_s, cost, feasible=True, rate=rate)


def test_at_each_quality_and_latency_the_cheapest_plan_counts() -> None:
    found = at_equal_latency(TERMS)([plan(0.7, 3.0, 10.0), plan(0.8, 8.0, 6.0)])
    # Latency at most 8, 4 and 2 s: at quality 0.6 first, then at 0.8.
    assert found == [6.0, 10.0, None, 6.0, None, None]


def test_at_each_quality_and_budget_the_fastest_plan_counts() -> None:
    found = at_equal_budget(TERMS)([plan(0.7, 3.0, 15.0), plan(0.8, 8.0, 10.0)])
    # At most 20, 15 and 10 dollars an hour.
    assert found == [3.0, 3.0, 8.0, 8.0, 8.0, 8.0]


def test_throughput_counts_where_it_was_sought() -> None:
    found = throughput(TERMS)([plan(0.7, 3.0, 15.0, rate=2.0), plan(0.8, 8.0, 10.0)])
    assert found == [0.5, None]


def test_a_plan_that_misses_a_target_on_the_other_trace_counts_for_neither_side() -> None:
    missed = replace(plan(0.9, 0.5, 1.0, rate=4.0), feasible=False)
    kept = plan(0.6, 8.0, 20.0, rate=1.0)
    for kind in KINDS:
        found = versus([missed, kept], [missed, kept], kind(TERMS))
        assert set(found.ratios) == {1.0}


def test_targets_that_one_side_misses_are_counted_and_left_out_of_the_mean() -> None:
    own = [plan(0.7, 2.0, 5.0)]
    other = [plan(0.7, 8.0, 10.0), plan(0.8, 8.0, 16.0)]
    found = versus(own, other, at_equal_latency(TERMS))
    assert found == Versus(ratios=(0.5,), only_planner=2, only_baseline=1, neither=2)
    assert found.mean == 0.5
    assert found.worst == 0.5


def test_the_mean_is_geometric() -> None:
    assert Versus(ratios=(0.5, 2.0)).mean == pytest.approx(1.0)


def test_nothing_in_common_has_no_mean() -> None:
    found = versus([], [plan(0.8, 2.0, 5.0)], at_equal_latency(TERMS))
    assert found.mean is None
    assert found.worst is None
    assert found.only_baseline == 6


@given(own=plans, other=plans)
def test_swapping_the_sides_inverts_the_ratios(own: list[Judged], other: list[Judged]) -> None:
    for kind in KINDS:
        one, back = versus(own, other, kind(TERMS)), versus(other, own, kind(TERMS))
        assert (one.only_planner, one.only_baseline) == (back.only_baseline, back.only_planner)
        assert one.neither == back.neither
        assert one.ratios == pytest.approx([1.0 / ratio for ratio in back.ratios])


@given(own=plans, more=plans, other=plans)
def test_more_plans_never_harm(own: list[Judged], more: list[Judged], other: list[Judged]) -> None:
    for kind in KINDS:
        best, richer = kind(TERMS)(own), kind(TERMS)(own + more)
        for had, has in zip(best, richer, strict=True):
            assert had is None or (has is not None and has <= had)


@given(own=plans)
def test_the_best_at_a_target_meets_it(own: list[Judged]) -> None:
    for level in TERMS.levels:
        terms = replace(TERMS, levels=(level,))
        meeting = [
            p.cost_per_hour for p in own if p.feasible and p.quality >= level and p.latency_s <= 8.0
        ]
        assert at_equal_latency(terms)(own)[0] == min(meeting, default=None)
