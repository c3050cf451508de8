from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from boute.errors import OutputError, PlanError
from boute.outcome import Robustness
from boute.plan.words import interval_text
from boute.report.study_view import StudyView
from boute.report.tables import (
    front_rows,
    front_table,
    load_alternatives,
    write_front_csv,
    write_front_json,
)


def printed(view: StudyView, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(front_table(view))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_rows_hold_shares_gpus_and_targets(view: StudyView) -> None:
    rows = front_rows(view)
    assert [row["rank"] for row in rows] == list(range(1, 9))
    for row, plan in zip(rows, view.plans, strict=True):
        assert sum(row[f"share_{name}"] for name in view.spec.model_names) == pytest.approx(1)
        held = sum(row[f"gpus_{name}"] for name in view.spec.gpus)
        assert held == sum(pool.gpus for pool in plan.pools)
    assert all(row["targets_met"] for row in rows)


def test_csv_reads_back_to_the_same_numbers(view: StudyView, tmp_path: Path) -> None:
    path = tmp_path / "front.csv"
    write_front_csv(view, path)
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(view.plans)
    for row, plan in zip(read, view.plans, strict=True):
        for metric in view.objectives:
            assert float(row[metric]) == plan.objectives[metric]
    assert read[0]["pools"].startswith("llama-3.2-3b: 1x l4 TP1; ")


def test_json_says_directions_reference_and_targets(view: StudyView, tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    write_front_json(view, path)
    front = json.loads(path.read_text())
    assert front["schema_version"] == 1
    assert [each["direction"] for each in front["objectives"]] == ["maximize", *["minimize"] * 2]
    assert front["objectives"][0]["reference"] == 0.0
    assert front["chosen"] == front["plans"][0]["plan"] == "plan-01"
    assert {each["target"] for each in front["plans"][0]["targets"]} == {
        "ttft_p95_s",
        "e2e_p95_s",
        "quality_min",
        "budget_per_hour",
    }
    assert front["plans"][3]["pools"] == [p.model_dump() for p in view.plans[3].pools]


def test_alternatives_read_back_from_the_front(view: StudyView, tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    write_front_json(view, path)
    read = load_alternatives(path)
    assert [(each.plan, each.objectives) for each in read] == [
        (plan.name, plan.objectives) for plan in view.plans
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 2, "plans": []}', "{}"])
def test_what_is_no_front_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "front.json"
    path.write_text(text)
    with pytest.raises(PlanError, match=r"front\.json"):
        load_alternatives(path)


def test_files_are_the_same_for_the_same_view(
    make_view: Callable[..., StudyView], tmp_path: Path
) -> None:
    for write in (write_front_csv, write_front_json):
        write(make_view(), tmp_path / "a")
        write(make_view(), tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_folder_that_cannot_be_written_is_an_output_error(
    view: StudyView, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_front_csv(view, tmp_path / "file" / "front.csv")


def test_the_table_fits_a_hundred_columns_whole(view: StudyView) -> None:
    text = printed(view, 100)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for words in ("45% llama-3.1-8b", "2x h100-sxm TP2", "0.671 ±0.020", "6.1 s", "strained"):
        assert words in text


@pytest.mark.parametrize("width", [60, 70, 80])
def test_a_narrow_table_keeps_its_numbers(view: StudyView, width: int) -> None:
    text = printed(view, width)
    assert max(map(len, text.splitlines())) <= width
    for plan in view.plans:
        assert f"{plan.predicted.quality:.3f} ±0.020" in text
        assert f"{plan.predicted.cost_per_hour:,.2f}" in text


def test_shares_and_pools_stay_beside_each_other(view: StudyView) -> None:
    lines = printed(view, 80).splitlines()
    assert len(lines) == 1 + sum(len(plan.pools) for plan in view.plans)


def test_other_objectives_get_columns(make_view: Callable[..., StudyView]) -> None:
    text = printed(make_view(objectives=("quality", "energy_j_per_token", "ttft_p99_s")), 110)
    assert "J per token" in text
    assert "P99 TTFT" in text


def drawn(view: StudyView) -> StudyView:
    """The study with intervals of its first plan."""
    first, *rest = view.plans
    e2e = first.predicted.e2e.p95
    robustness = Robustness(
        resamples=19,
        confidence=0.9,
        intervals={"quality": (0.5, 0.7), "e2e_p95_s": (0.8 * e2e, 1.5 * e2e)},
        unstable=0.0,
        keeps_targets=0.9,
        load_margin=0.25,
        load_limit="stability",
    )
    predicted = first.predicted.model_copy(update={"robustness": robustness})
    return replace(view, plans=(first.model_copy(update={"predicted": predicted}), *rest))


def test_intervals_are_columns_and_those_of_quality_stay_at_95(view: StudyView) -> None:
    row, other, *_ = front_rows(drawn(view))
    outcome = view.plans[0].predicted
    assert (row["e2e_p95_s_low"], row["e2e_p95_s_high"]) == pytest.approx(
        (0.8 * outcome.e2e.p95, 1.5 * outcome.e2e.p95)
    )
    assert (row["quality_low"], row["quality_high"]) == (outcome.quality_low, outcome.quality_high)
    assert (row["keeps_targets"], row["load_margin"], row["load_limit"]) == (0.9, 0.25, "stability")
    assert "keeps_targets" not in other


def test_a_terminal_shows_the_interval_below_the_value(view: StudyView) -> None:
    e2e = view.plans[0].predicted.e2e.p95
    ends = interval_text("e2e_p95_s", (0.8 * e2e, 1.5 * e2e)).replace(" to ", "-")
    assert ends in printed(drawn(view), 120)
    assert ends not in printed(view, 120)
