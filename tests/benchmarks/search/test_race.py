from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.search.cell import ROOT, Cell, run_cell
from benchmarks.search.race import RIVALS, cells_of, interleaved, run_missing
from benchmarks.search.store import Store
from boute.optimizer.sampler import SAMPLERS
from boute.spec.load import load_spec

CASES = sorted((ROOT / "benchmarks/search").glob("*/*.yaml"))


@pytest.fixture
def case(tmp_path: Path, small_spec: Callable[..., dict[str, Any]]) -> str:
    spec = small_spec(
        workload={"trace": "azure-conversation", "duration_s": 60, "rate_scale": 0.1},
        targets={"e2e_p95_s": 60.0, "budget_per_hour": 60.0},
    )
    path = tmp_path / "case.yaml"
    path.write_text(yaml.safe_dump(spec))
    return str(path)


def test_every_sampler_is_a_rival_but_the_exact_one_and_what_is_the_same_there() -> None:
    """On the cases looks are exact, and `mobo-gp` does what `mobo` does."""
    assert {*RIVALS} == SAMPLERS.keys() - {"exact", "mobo-gp"}


def test_cells_are_taken_in_turn() -> None:
    mobo, sequential = cells_of("a", "mobo", 3, 1.0), cells_of("a", "sequential", 3, 1.0)
    assert len(sequential) == 1  # its seed changes nothing
    assert interleaved([mobo, sequential]) == [mobo[0], sequential[0], mobo[1], mobo[2]]


def test_only_what_is_missing_is_run(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "cells.jsonl")
    first, second = (Cell(case, "sobol", seed, 30.0, evaluations=2) for seed in range(2))
    store.add(run_cell(first))
    assert not run_missing([first, second], store, workers=1, at_most=0)
    assert run_missing([first, second], store, workers=1, at_most=None)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("1/1 case sobol seed 1: 0.")
    assert Store(tmp_path / "cells.jsonl").find(second) is not None


def test_a_cell_tells_its_curve_its_front_and_how_its_plans_fare_elsewhere(case: str) -> None:
    record = run_cell(Cell(case, "single-gpu", 0, 30.0, evaluations=8, judged=True))
    assert record["error"] is None
    assert record["evaluations"] == 8
    counts, seconds, volumes = zip(*record["curve"], strict=True)
    assert [*counts] == sorted(counts)
    assert [*seconds] == sorted(seconds)
    assert [*volumes] == sorted(volumes)
    assert {"boute/optimizer/rivalry.py", "benchmarks/search/judge.py"} <= record["sources"].keys()
    judged = record["judged"]
    assert judged["levels"] == sorted(judged["levels"])
    assert 0 < len(judged["plans"]) <= len(record["front"])
    for plan in judged["plans"]:
        assert plan["rate"] is None or plan["rate"] >= 1.0
    assert any(plan["rate"] for plan in judged["plans"] if plan["feasible"])


def test_a_case_that_has_no_plan_is_told(case: str) -> None:
    spec = yaml.safe_load(Path(case).read_text())
    spec["targets"]["budget_per_hour"] = 0.01
    Path(case).write_text(yaml.safe_dump(spec))
    record = run_cell(Cell(case, "sobol", 0, 5.0))
    assert "budget binds" in record["error"]


def test_a_case_is_found_from_the_root_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record = run_cell(Cell("benchmarks/search/cases/small-b.yaml", "single-model", 0, 30.0, 1))
    assert record["error"] is None


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_cases_use_what_is_shipped(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path)
    spec = load_spec(tmp_path / path.name)
    assert "/" not in f"{spec.workload.trace}{spec.quality.table}"
    if path.parent.name == "scenarios":
        assert spec.workload.duration_s is None  # the whole trace
        assert spec.workload.seed == 0
