from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.plan.diff import diff_plans
from boute.plan.model import Plan
from boute.plan.rules import routing_rules
from boute.plan.store import load_plan

EXAMPLE = Path(__file__).parent / "example.yaml"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan(EXAMPLE)


def changed(plan: Plan, edit: Any) -> Plan:
    data = plan.model_dump()
    edit(data)
    return Plan.model_validate(data)


def text_of(a: Plan, b: Plan, title: str) -> str:
    return "\n".join(
        line for part in diff_plans(a, b).sections if part.title == title for line in part.lines
    )


def test_a_plan_does_not_differ_from_itself_but_for_what_is_predicted(plan: Plan) -> None:
    difference = diff_plans(plan, plan)
    assert difference.apply == "nothing"
    assert [section.title for section in difference.sections] == ["Predicted", "To apply"]
    assert all(line.endswith("(unchanged)") for line in difference.sections[0].lines)


def test_moved_thresholds_can_be_applied_live(plan: Plan) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["routing"]["fractions"] = [0.3, 0.5, 0.2]
        data["routing"]["thresholds"] = [0.3, 0.8]

    other = changed(plan, edit)
    assert diff_plans(plan, other).apply == "live"
    assert text_of(plan, other, "Routing").splitlines() == [
        "llama-3.2-3b takes 30.0% instead of 35.0% of the queries (-5.0 points).",
        "llama-3.1-8b takes 50.0% instead of 45.0% of the queries (+5.0 points).",
        "Highest score that llama-3.2-3b answers: 0.35 to 0.3.",
    ]
    assert text_of(plan, other, "Pools") == ""


def test_moved_weights_can_be_applied_live(plan: Plan) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["pools"][1]["weight"], data["pools"][2]["weight"] = 0.7, 0.3

    other = changed(plan, edit)
    assert diff_plans(plan, other).apply == "live"
    assert "Of the queries of llama-3.1-8b, a10g TP1 takes 70.0% instead of 60.0%." in text_of(
        plan, other, "Pools"
    )


def test_a_resized_pool_needs_a_redeployment(plan: Plan) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["pools"][0]["replicas"] = 5

    other = changed(plan, edit)
    assert diff_plans(plan, other).apply == "redeploy"
    assert text_of(plan, other, "Pools") == "Resized: llama-3.2-3b on l4 TP1, 3 to 5 replicas."
    assert text_of(plan, other, "GPUs") == "l4: 3 to 5; llama-3.2-3b takes 2 more."
    assert "2 GPUs change hands." in text_of(plan, other, "To apply")


def test_gpus_that_change_hands_are_named(plan: Plan) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["pools"][0] |= {"gpu": "a10g", "replicas": 2}
        data["pools"][1]["replicas"] = 1

    other = changed(plan, edit)
    pools = text_of(plan, other, "Pools")
    assert "Removed: llama-3.2-3b on 3x l4 TP1." in pools
    assert "Added: llama-3.2-3b on 2x a10g TP1." in pools
    assert "a10g: 3 as before; llama-3.1-8b gives up 2, llama-3.2-3b takes 2 more." in text_of(
        plan, other, "GPUs"
    )


def test_a_pool_under_another_name_is_another_deployment(plan: Plan) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["pools"][0]["name"] = "renamed"

    assert diff_plans(plan, changed(plan, edit)).apply == "redeploy"


def test_another_router_changes_live_and_says_that_scores_differ(plan: Plan) -> None:
    other = changed(plan, lambda data: data["routing"].update(router_hash="2" * 64))
    assert diff_plans(plan, other).apply == "live"
    assert "The router changes" in text_of(plan, other, "Routing")


def test_other_weights_of_a_model_are_told(plan: Plan) -> None:
    other = changed(plan, lambda data: data["models"][2].update(weights="fp8"))
    assert text_of(plan, other, "Models") == "llama-3.1-70b: weights bf16 to fp8."
    assert diff_plans(plan, other).apply == "redeploy"


def test_another_spec_makes_predictions_incomparable(plan: Plan) -> None:
    other = changed(plan, lambda data: data["source"].update(spec_hash="2" * 64))
    assert "different specs" in text_of(plan, other, "Asked")


def test_predictions_say_which_way_is_better(plan: Plan) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["predicted"] |= {"quality": 0.7, "cost_per_hour": 15.0, "verdict": "strained"}

    assert text_of(plan, changed(plan, edit), "Predicted").splitlines() == [
        "Quality: 0.628 to 0.700 (+11.6%, better)",
        "P95 end-to-end latency: 7.9 s (unchanged)",
        "Cost: $12.69 per hour to $15.00 per hour (+18.2%, worse)",
        "Verdict: stable to strained.",
    ]


@settings(deadline=None, max_examples=40)
@given(replicas=st.lists(st.integers(1, 9), min_size=4, max_size=4))
def test_gpus_gained_and_given_up_add_up(plan: Plan, replicas: list[int]) -> None:
    def edit(data: dict[str, Any]) -> None:
        for pool, count in zip(data["pools"], replicas, strict=True):
            pool["replicas"] = count

    other = changed(plan, edit)
    words = text_of(plan, other, "GPUs").replace(".", "").replace(",", "").split()
    gained = sum(int(words[i + 1]) for i, word in enumerate(words) if word == "takes")
    given_up = sum(int(words[i + 1]) for i, word in enumerate(words) if word == "up")
    before, after = (sum(pool.gpus for pool in each.pools) for each in (plan, other))
    assert gained - given_up == after - before


def as_utility(data: dict[str, Any]) -> None:
    data["routing"] |= {"policy": "utility", "thresholds": [], "prices": [0.0, 0.5, 1e12]}
    data["routing"]["dial"] = []


def as_cascade(data: dict[str, Any]) -> None:
    data["routing"] |= {"policy": "cascade", "thresholds": [0.8, 2.0], "dial": []}
    data["routing"]["loads"] = [1.0, *data["routing"]["fractions"][1:]]


def test_another_policy_is_told_and_can_be_applied_live(plan: Plan) -> None:
    other = changed(plan, as_cascade)
    assert diff_plans(plan, other).apply == "live"
    told = text_of(plan, other, "Routing").splitlines()
    assert told[0] == "Policy: cascade; it was thresholds."
    assert "llama-3.2-3b is asked 100.0% instead of 35.0% of the queries (+65.0 points)." in told


def test_settings_of_other_policies_are_told_in_their_own_words(plan: Plan) -> None:
    priced = changed(plan, as_utility)
    dearer = changed(priced, lambda data: data["routing"].update(prices=[0.0, 1e12, 0.25]))
    assert text_of(priced, dearer, "Routing").splitlines() == [
        "Price of 1,000 tokens of llama-3.1-8b: 0.5 to not asked.",
        "Price of 1,000 tokens of llama-3.1-70b: not asked to 0.25.",
    ]
    unsure = changed(plan, as_cascade)
    surer = changed(unsure, lambda data: data["routing"].update(thresholds=[0.7, 0.0]))
    assert text_of(unsure, surer, "Routing").splitlines() == [
        "Least confidence of an answer of llama-3.2-3b: 0.8 to 0.7.",
        "Least confidence of an answer of llama-3.1-8b: not asked to any.",
    ]


def test_each_model_has_its_rule_in_words(plan: Plan) -> None:
    assert routing_rules(plan.routing)[-1] == "the rest"
    cascade = changed(plan, as_cascade).routing
    assert routing_rules(cascade)[0] == "asked 100.0%, answers from a confidence of 0.8"
    assert routing_rules(cascade)[-1].endswith("answers the rest")
    utility = changed(plan, as_utility).routing
    assert routing_rules(utility)[1] == "worth most at 0.5 for 1,000 tokens"
