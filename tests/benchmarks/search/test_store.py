from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.search.cell import Cell, hash_of_case, hash_of_source
from benchmarks.search.store import Store

SOURCE = "boute/errors.py"


@pytest.fixture
def case(tmp_path: Path, small_spec: Callable[..., dict[str, Any]]) -> str:
    path = tmp_path / "case.yaml"
    path.write_text(yaml.safe_dump(small_spec()))
    return str(path)


def record(cell: Cell, **changes: Any) -> dict[str, Any]:
    return {
        "cell": asdict(cell),
        "case_hash": hash_of_case(cell.case),
        "sources": {SOURCE: hash_of_source(SOURCE)},
        "error": None,
        **changes,
    }


def test_what_was_run_is_found_again(case: str, tmp_path: Path) -> None:
    cell = Cell(case, "mobo", 0, 10.0)
    Store(tmp_path / "out/cells.jsonl").add(record(cell, curve=[[1, 0.5, 0.25]]))
    again = Store(tmp_path / "out/cells.jsonl")
    found = again.find(cell)
    assert found is not None
    assert found["curve"] == [[1, 0.5, 0.25]]
    assert again.find(Cell(case, "mobo", 1, 10.0)) is None
    assert again.find(Cell(case, "mobo", 0, 20.0)) is None


def test_the_latest_of_two_counts(case: str, tmp_path: Path) -> None:
    cell = Cell(case, "mobo", 0, 10.0)
    store = Store(tmp_path / "cells.jsonl")
    store.add(record(cell, evaluations=1))
    store.add(record(cell, evaluations=2))
    found = Store(tmp_path / "cells.jsonl").find(cell)
    assert found is not None
    assert found["evaluations"] == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": {SOURCE: "0" * 12}},
        {"sources": {"boute/gone.py": "0" * 12}},
        {"case_hash": "0" * 64},
    ],
)
def test_a_record_is_not_true_of_other_sources_or_another_case(
    case: str, tmp_path: Path, changes: dict[str, Any]
) -> None:
    cell = Cell(case, "mobo", 0, 10.0)
    store = Store(tmp_path / "cells.jsonl")
    store.add(record(cell, **changes))
    assert store.find(cell) is None


def test_a_line_cut_short_is_removed_and_the_rest_kept(case: str, tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    first, second = Cell(case, "mobo", 0, 10.0), Cell(case, "mobo", 1, 10.0)
    Store(path).add(record(first))
    with path.open("a") as file:
        file.write('{"cell": {"case"')
    store = Store(path)
    store.add(record(second))
    again = Store(path)
    assert again.find(first) is not None
    assert again.find(second) is not None


def test_a_fresh_store_forgets(case: str, tmp_path: Path) -> None:
    cell = Cell(case, "mobo", 0, 10.0)
    path = tmp_path / "cells.jsonl"
    Store(path).add(record(cell))
    assert Store(path, fresh=True).find(cell) is None
    assert not path.exists()
