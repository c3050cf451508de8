from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from benchmarks.search.cell import ROOT
from benchmarks.search.judge import Judged
from benchmarks.search.paper_table import BASELINES, Scenario, cost_bars, markdown, scenario_of

CASE = ROOT / "benchmarks/search/scenarios/conversation-fp8.yaml"  # 40 s, 20 dollars an hour


def record(*costs: float, latency_s: float = 9.0) -> dict[str, Any]:
    """A search whose plans keep the targets, all of the same quality and latency."""
    plans = [asdict(Judged(0.9, latency_s, cost, True, rate=2.0)) for cost in costs]
    return {
        "error": None,
        "front": [{} for _ in plans],
        "judged": {"levels": [0.6, 0.65, 0.7, 0.75, 0.8], "plans": plans},
    }


@pytest.fixture
def scenario() -> Scenario:
    records = {name: [record(12.0, latency_s=18.0)] for name in BASELINES}
    found = scenario_of(CASE, records | {"mobo": [record(6.0), record(5.0), record(8.0)]})
    assert found is not None
    return found


def test_terms_are_those_of_the_spec(scenario: Scenario) -> None:
    assert scenario.terms.levels == (0.6, 0.65, 0.7, 0.75, 0.8)
    assert scenario.terms.latency_s == 40.0
    assert scenario.terms.budget_per_hour == 20.0


def test_the_table_tells_the_median_seed_and_who_meets_how_many_targets(scenario: Scenario) -> None:
    cost, fast, more, levels, kept = markdown([scenario]).split("\n\n")
    # 6 against 12 dollars; at a quarter of 40 s, at each of five qualities, the baseline has none.
    assert cost.splitlines()[2] == "| conversation-fp8 |" + " 50% (10 +5 -0) |" * 4
    assert cost.splitlines()[-1] == "| average |" + " 50% |" * 4
    # Half the latency is twice as good; at 10 dollars an hour the planner is alone.
    assert fast.splitlines()[2] == "| conversation-fp8 |" + " 100% (10 +5 -0) |" * 4
    assert more.splitlines()[2] == "| conversation-fp8 |" + " 0% (5 +0 -0) |" * 4
    rows = levels.splitlines()[2:]
    assert len(rows) == 5
    assert all(row.endswith(" |" + " 50% |" * 4) for row in rows)
    assert "| mobo | 3 of 3 | 100% |" in kept


def test_bars_ask_the_average_of_plain_baselines_and_every_target_of_the_strong(
    scenario: Scenario,
) -> None:
    plain, alone, sequential, bilevel = cost_bars([scenario])
    assert plain.met
    assert alone.figure == "50.0%"
    assert sequential.met
    assert bilevel.figure == "above at 0 of 30"


def test_one_target_in_one_seed_above_a_strong_baseline_misses_the_bar() -> None:
    records = {name: [record(6.0)] for name in BASELINES}
    found = scenario_of(CASE, records | {"mobo": [record(5.0), record(6.3)]})
    assert found is not None
    bar = cost_bars([found])[2]
    assert not bar.met
    assert bar.figure == "above at 15 of 30"
    assert bar.note.startswith("at worst +5.0%")


def test_a_baseline_without_a_plan_is_told_and_left_out_of_the_average(scenario: Scenario) -> None:
    failed = {"error": "no plan is feasible", "front": []}
    records = {name: [failed] for name in BASELINES}
    none = scenario_of(CASE, records | {"mobo": [record(6.0)]})
    assert none is not None
    cost, *_ = markdown([none, scenario]).split("\n\n")
    assert cost.splitlines()[2] == "| conversation-fp8 |" + " none (0 +15 -0) |" * 4
    assert cost.splitlines()[-1] == "| average |" + " 50% |" * 4
