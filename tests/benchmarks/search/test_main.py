from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.search.__main__ import Group, bars_of, groups_of
from benchmarks.search.cell import Cell, hash_of_case
from benchmarks.search.race import RIVALS
from benchmarks.search.store import Store


def record(cell: Cell, volume: float) -> dict[str, Any]:
    return {
        "cell": asdict(cell),
        "case_hash": hash_of_case(cell.case),
        "sources": {},
        "error": None,
        "curve": [[1, 1.0, volume]],
        "evaluations": 1,
        "front": [],
    }


def test_a_whole_run_has_three_small_and_three_large_cases_and_six_scenarios() -> None:
    groups = groups_of(5, quick=False)
    kinds = [group.kind for group in groups]
    assert [kinds.count(kind) for kind in ("small", "large", "table")] == [3, 3, 6]
    for group in groups:
        assert group.case.is_file()
        assert len(group.cells["mobo"]) == 5
        if group.kind == "large":
            assert group.cells.keys() == {*RIVALS}
            assert {cell.seconds for cells in group.cells.values() for cell in cells} == {120.0}
        assert all(cell.judged == (group.kind == "table") for cell in group.cells["mobo"])


def test_bars_are_told_of_what_is_complete(tmp_path: Path) -> None:
    groups = groups_of(2, quick=True)
    small = next(group for group in groups if group.kind == "small")
    large = next(group for group in groups if group.kind == "large")
    store = Store(tmp_path / "cells.jsonl")
    store.add(record(small.cells["exact"][0], 0.5))
    store.add(record(small.cells["mobo"][0], 0.5))
    assert bars_of(groups, store, tmp_path) == []
    store.add(record(small.cells["mobo"][1], 0.4))
    for name, cells in large.cells.items():
        for cell in cells:
            store.add(record(cell, 0.3 if name == "mobo" else 0.2))
    near, *first = bars_of(groups, store, tmp_path)
    assert not near.met
    assert near.figure == "median 0.9000, worst 0.8000"
    # A quarter of the time is 30 s, so there is nothing to say at 120.
    assert [bar.what for bar in first] == [f"{large.case.stem} at {s} s" for s in (10, 30)]
    assert all(bar.met for bar in first)
    assert (tmp_path / f"search-{large.case.stem}.png").exists()


def test_a_sampler_that_lacks_a_seed_has_no_records(tmp_path: Path) -> None:
    case = "benchmarks/search/cases/small-a.yaml"
    cells = [Cell(case, "mobo", seed, 1.0) for seed in range(2)]
    store = Store(tmp_path / "cells.jsonl")
    store.add(record(cells[0], 0.5))
    group = Group(Path(case), "small", {"mobo": cells, "sobol": cells[:1]})
    assert group.records(store).keys() == {"sobol"}
