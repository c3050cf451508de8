from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.plan.explain import explain, target_margins
from boute.plan.model import Alternative, Plan
from boute.plan.store import load_plan

EXAMPLE = Path(__file__).parent / "example.yaml"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan(EXAMPLE)


def with_targets(plan: Plan, **targets: float) -> Plan:
    data = plan.model_dump()
    data["spec"]["targets"] = targets
    return Plan.model_validate(data)


def other(name: str, quality: float, e2e_p95_s: float, cost_per_hour: float) -> Alternative:
    values = {"quality": quality, "e2e_p95_s": e2e_p95_s, "cost_per_hour": cost_per_hour}
    return Alternative(plan=name, objectives=values)


def test_margins_are_relative_to_the_limit_and_positive_when_met(plan: Plan) -> None:
    plan = with_targets(plan, e2e_p95_s=7.9 / 0.9, quality_min=0.8, budget_per_hour=12.69)
    margins = {margin.target: margin for margin in target_margins(plan)}
    assert margins["e2e_p95_s"].margin == pytest.approx(0.1)
    assert margins["quality_min"].margin == pytest.approx(0.6275 / 0.8 - 1)
    assert margins["budget_per_hour"].margin == pytest.approx(0, abs=1e-9)
    assert [margin.met for margin in margins.values()] == [True, False, True]


def test_a_floor_of_zero_is_met(plan: Plan) -> None:
    assert target_margins(with_targets(plan, quality_min=0.0))[0].met


def test_the_tightest_target_binds(plan: Plan) -> None:
    binding = explain(with_targets(plan, e2e_p95_s=8.0, quality_min=0.61)).binding
    assert binding.startswith("P95 end-to-end latency: 7.9 s, asked at most 8 s (1% to spare).")
    assert "Quality: 0.628, asked at least 0.610 (3% to spare)." in binding


def test_a_missed_target_comes_first(plan: Plan) -> None:
    binding = explain(with_targets(plan, ttft_p95_s=0.5, quality_min=0.62)).binding
    expected = "P95 time to first token: 658 ms, asked at most 500 ms (missed by 32%)."
    assert binding == f"A target is missed. {expected}"


def test_an_exhausted_inventory_binds(plan: Plan) -> None:
    data = plan.model_dump()
    data["spec"]["gpus"]["l4"]["count"] = 3
    assert explain(Plan.model_validate(data)).binding == "All 3 l4 are in use."


def test_when_nothing_binds_the_nearest_is_named(plan: Plan) -> None:
    binding = explain(plan).binding
    assert binding.startswith("No constraint binds")
    assert "The nearest: P95 end-to-end latency" in binding
    assert explain(with_targets(plan)).binding.startswith("No constraint binds")


def test_the_next_better_is_the_cheapest_that_improves(plan: Plan) -> None:
    front = [
        other("best", 0.9, 9.0, 40.0),
        other("step", 0.7, 9.0, 14.0),
        other("cheap", 0.4, 9.9, 5.0),
        other("frugal", 0.62, 8.0, 11.0),
    ]
    steps = {step.objective: step for step in explain(plan, front).next_better}
    assert steps["quality"].plan == "step"
    assert steps["quality"].changes["cost_per_hour"] == pytest.approx((12.69, 14.0))
    assert steps["e2e_p95_s"].plan is None
    assert steps["cost_per_hour"].plan == "frugal"
    assert steps["e2e_p95_s"].line() == "P95 end-to-end latency: no plan of the front is better."
    assert steps["quality"].line() == (
        "Quality: step takes it from 0.628 to 0.700 (+11.6%, better), with P95 end-to-end latency"
        " 7.9 s to 9 s (+13.9%, worse); Cost $12.69 per hour to $14.00 per hour (+10.3%, worse)."
    )


def test_the_plan_itself_is_no_alternative_and_its_own_front_is_the_default(plan: Plan) -> None:
    assert all(step.plan is None for step in explain(plan, [other(plan.name, 1, 0, 0)]).next_better)
    assert {step.plan for step in explain(plan).next_better} - {None} <= {
        alternative.plan for alternative in plan.alternatives
    }


def test_headroom_tells_what_the_load_leaves(plan: Plan) -> None:
    first = explain(plan).headroom[0]
    assert "38% of what it can carry: room for 2.63 times its load" in first
    assert "KV cache peaks at 49%" in first


@pytest.mark.parametrize(("load", "words"), [(0.0, "is idle"), (1.2, "no room for more load")])
def test_headroom_at_the_ends(plan: Plan, load: float, words: str) -> None:
    data: dict[str, Any] = plan.model_dump()
    data["predicted"]["pools"][0]["utilisation"] = load
    assert words in explain(Plan.model_validate(data)).headroom[0]


@settings(deadline=None, max_examples=40)
@given(front=st.lists(st.tuples(st.floats(0.1, 1), st.floats(1, 20), st.floats(1, 50)), max_size=6))
def test_a_next_better_plan_is_better_and_none_cheaper_is(
    plan: Plan, front: list[tuple[float, float, float]]
) -> None:
    others = [other(f"p{index}", *values) for index, values in enumerate(front)]
    step = explain(plan, others or [other(plan.name, 1, 1, 1)]).next_better[0]
    better = [each for each in others if each.objectives["quality"] > 0.6275 * 1.005]
    if step.plan is not None:
        picked = next(each for each in others if each.plan == step.plan)
        assert picked.objectives["quality"] > plan.objectives["quality"]
        assert all(
            picked.objectives["cost_per_hour"] <= each.objectives["cost_per_hour"]
            for each in better
        )
    else:
        assert not better


def test_start_up_is_told_where_it_is_known(plan: Plan) -> None:
    assert "Start-up" not in explain(plan).sections()
    data = plan.model_dump()
    pool = data["predicted"]["pools"][0]
    pool["ready"] = {"warm_s": 26.21, "cold_s": 57.1, "error": 0.45}
    (line,) = explain(Plan.model_validate(data)).sections()["Start-up"]
    assert line == (
        f"A replica of {pool['pool']} answers 26.2 s after its start, 57.1 s where nothing is "
        "compiled yet (±45%)."
    )


@pytest.mark.parametrize(
    ("moved", "whole_s", "words"),
    [
        (0, 0.0, "No replica starts or stops."),
        (1, 0.0, "1 GPU changes hands; no replica starts."),
        (8, 88.8, "8 GPUs change hands; the fleet is whole after 88.8 s."),
    ],
)
def test_how_far_it_is_from_what_runs(plan: Plan, moved: int, whole_s: float, words: str) -> None:
    data = plan.model_dump()
    data["predicted"] |= {"moved_gpus": moved, "migration_s": whole_s}
    assert explain(Plan.model_validate(data)).sections()["From what runs"] == [words]
    assert "From what runs" not in explain(plan).sections()


def test_a_limit_of_no_moves_can_be_missed(plan: Plan) -> None:
    data = plan.model_dump()
    data["spec"]["targets"] = {"moved_gpus_max": 0}
    for moved, met in ((0, True), (3, False)):
        data["predicted"]["moved_gpus"] = moved
        (margin,) = target_margins(Plan.model_validate(data))
        assert margin.met == met


def drawn(plan: Plan, **changes: Any) -> Plan:
    """The plan with its TTFT between 0.5 and 0.9 s over resamples."""
    robustness = {
        "resamples": 19,
        "confidence": 0.9,
        "intervals": {"ttft_p95_s": (0.5, 0.9), "cost_per_hour": (12.69, 12.69)},
        "unstable": 0.0,
        "keeps_targets": 0.95,
        "load_margin": 0.3,
        "load_limit": "ttft_p95_s",
        **changes,
    }
    data = plan.model_dump()
    data["predicted"]["robustness"] = robustness
    data["spec"]["targets"] = {"ttft_p95_s": 1.0}
    return Plan.model_validate(data)


def test_what_other_draws_do_is_told(plan: Plan) -> None:
    explanation = explain(drawn(plan))
    assert explanation.margins[0].line() == (
        "P95 time to first token: 658 ms (500 to 900 ms), asked at most 1 s (34% to spare)."
    )
    assert explanation.sections()["Other draws of the same traffic"] == [
        "P95 time to first token: 500 to 900 ms.",
        "Those are 90% intervals, from 19 resamples of the workload; the plan keeps all targets in"
        " 95% of the draws.",
        "It takes 30% more load; beyond that it misses targets.ttft_p95_s.",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"load_margin": 0.0}, "It takes no more load: with 2% more it misses targets.ttft_p95_s."),
        ({"load_limit": "stability"}, "It takes 30% more load; beyond that it is unstable."),
        (
            {"load_margin": 15.0, "load_limit": None},
            "It takes 16 times the load without missing anything.",
        ),
    ],
)
def test_the_margin_of_load_is_told(plan: Plan, changes: dict[str, Any], line: str) -> None:
    assert explain(drawn(plan, **changes)).robustness[-1] == line


def test_an_unstable_draw_is_told(plan: Plan) -> None:
    lines = explain(drawn(plan, unstable=0.1, load_margin=None, load_limit=None)).robustness
    assert lines[-1].endswith("95% of the draws and is unstable in 10%.")


def test_a_plan_that_was_not_drawn_again_says_nothing_of_it(plan: Plan) -> None:
    explanation = explain(plan)
    assert explanation.robustness == ()
    assert "Other draws of the same traffic" not in explanation.sections()
