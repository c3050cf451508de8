"""The search on specs drawn at random: a search can be fitted to the few cases of the repository.

    python -m benchmarks.search.random_cases [--count 20] [--first 0] [--seconds 20] [--small]

Against its nearest rivals by the clock; or, on small ones, against every plan that there is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from benchmarks.search.bars import volume_at
from benchmarks.search.cell import ROOT, Cell
from benchmarks.search.drawn import draw_case, draw_small
from benchmarks.search.race import run_missing
from benchmarks.search.store import Store

_RIVALS: Final = ("mobo", "nsga2", "bilevel", "sequential", "single-gpu")
_FEW: Final = 64  # evaluations that the search has on a small case


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--small", action="store_true", help="cases whose every plan is listed")
    parser.add_argument("--at-most", type=int, help="searches, then stop")
    parser.add_argument("--out", type=Path, default=ROOT / "out/random")
    told = parser.parse_args()
    numbers = range(told.first, told.first + told.count)
    draw = draw_small if told.small else draw_case
    cases = [str(draw(number, told.out.resolve())) for number in numbers]
    store = Store(told.out / "cells.jsonl")
    by_case = {case: _cells(case, told.seconds, small=told.small) for case in cases}
    run_missing([cell for cells in by_case.values() for cell in cells], store, 1, told.at_most)
    first = next(iter(by_case.values()), [])
    print(f"{'case':12}" + "".join(f"{cell.sampler:>12}" for cell in first))
    for case, cells in by_case.items():
        print(f"{Path(case).stem:12}" + "".join(f"{_told(store, cell):>12}" for cell in cells))


def _cells(case: str, seconds: float, *, small: bool) -> list[Cell]:
    if small:
        return [Cell(case, "exact", 0, None), Cell(case, "mobo", 0, seconds, _FEW)]
    return [Cell(case, name, 0, seconds) for name in _RIVALS]


def _told(store: Store, cell: Cell) -> str:
    record = store.find(cell)
    if record is None:
        return "not run"
    if record["error"]:
        return "refused"
    return f"{volume_at(record['curve']):.4f}"


if __name__ == "__main__":
    main()
