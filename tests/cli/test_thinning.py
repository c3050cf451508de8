"""A trace that is thinned, from the spec to what people are told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKLOAD = {"trace": "azure-conversation", "duration_s": 600, "thin_to": 1500}


@pytest.fixture
def thinned(folder: Path, boute: Any, small_spec: Callable[..., dict[str, Any]]) -> Any:
    """What `boute optimize` prints of ten minutes, of which half are simulated."""
    (folder / "boute.yaml").write_text(yaml.safe_dump(small_spec(workload=WORKLOAD)))
    return boute("optimize", "boute.yaml", "--sampler", "sobol", "--evaluations", 6)


def test_the_error_is_told_by_search_plan_and_report(
    folder: Path, thinned: Any, boute: Any
) -> None:
    assert thinned.code == 0, thinned.err
    said = r"indows stand for the \d,\d{3} requests of the trace, with 95% errors of at most"
    assert re.search(said, thinned.err)
    assert "quality and cost_per_hour exact" in thinned.err
    plan = folder / "out" / "plans" / "plan-01.yaml"
    shown = " ".join(boute("plan", "show", plan).out.split())
    assert re.search(said, shown)
    assert re.search(said, (folder / "out" / "report.html").read_text())
    errors = yaml.safe_load(plan.read_text())["predicted"]["thinning_error"]
    assert set(errors) == {"e2e_p95_s", "ttft_p95_s", "tpot_p95_s"}


def test_a_plan_is_simulated_on_windows_and_on_the_whole(thinned: Any, boute: Any) -> None:
    plan = Path("out/plans/plan-01.yaml")
    predicted = yaml.safe_load(plan.read_text())["predicted"]
    some = json.loads(boute("simulate", plan, "--json").out)
    whole = json.loads(boute("simulate", plan, "--whole", "--json").out)
    assert {name: value for name, value in some.items() if value is not None} == predicted
    assert whole["thinning_error"] == {}
    assert whole["requests"] == some["requests"]
    assert whole["e2e"] != some["e2e"]
    assert whole["e2e"]["p50"] == pytest.approx(some["e2e"]["p50"], rel=0.3)


def test_a_trace_that_is_not_thinned_is_whole(plan_file: Path, boute: Any) -> None:
    every = boute("simulate", plan_file, "--json").out
    assert boute("simulate", plan_file, "--whole", "--json").out == every
    assert "indows stand for" not in boute("plan", "show", plan_file).out
