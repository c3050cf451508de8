"""`make bench-search`: the bars of the search, measured in one run that can be taken up again.

    python -m benchmarks.search [--quick] [--only small|large|table] [--cases NAME ...]
                                [--samplers NAME ...] [--workers 2] [--at-most N] [--fresh]

Each search is a cell and leaves a line in out/bench_search.jsonl; what is there and still true is
not run again. A whole run takes some hours of two cores. At the end, or whenever it is stopped by
`--at-most`, the bars that can be told are told.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.search.bars import CLOCKS_S, Bar, first_at_each_clock, medians, near_enumeration
from benchmarks.search.cell import ROOT, Cell, Record
from benchmarks.search.paper_table import BASELINES, Scenario, cost_bars, markdown, scenario_of
from benchmarks.search.picture import write_picture
from benchmarks.search.race import RIVALS, cells_of, interleaved, run_missing
from benchmarks.search.store import Store
from boute.optimizer.exact import MOST_PLANS

__all__ = ["Group", "bars_of", "groups_of"]

HERE: Final = Path(__file__).parent
SMALL_EVALUATIONS: Final = 64
SMALL_S: Final = 20.0
TABLE_S: Final = 30.0


@dataclass(frozen=True)
class Group:
    """The cells of one case, by sampler."""

    case: Path
    kind: str
    cells: dict[str, list[Cell]]

    def records(self, store: Store) -> dict[str, list[Record]]:
        """What the store has of each sampler, for those of which it has every seed."""
        found = {name: [store.find(cell) for cell in cells] for name, cells in self.cells.items()}
        return {
            name: [record for record in records if record is not None]
            for name, records in found.items()
            if None not in records
        }


def main() -> None:
    told = _arguments()
    groups = [
        group
        for group in groups_of(told.seeds or (2 if told.quick else 5), quick=told.quick)
        if told.only in (None, group.kind) and (not told.cases or group.case.stem in told.cases)
    ]
    chosen = [
        [cells for name, cells in group.cells.items() if _wanted(name, told.samplers)]
        for group in groups
    ]
    cells = [cell for by_sampler in chosen for cell in interleaved(by_sampler)]
    store = Store(told.out, fresh=told.fresh)
    complete = run_missing(cells, store, told.workers, told.at_most)
    bars = bars_of(groups, store, told.pictures)
    print("\n".join(bar.line() for bar in bars))
    print(f"{sum(bar.met for bar in bars)} of {len(bars)} bars met")
    if not complete:
        print("cells are missing: run the command again")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two seeds and a quarter of the time")
    parser.add_argument("--seeds", type=int, help="five, or two with --quick")
    parser.add_argument("--only", choices=("small", "large", "table"))
    parser.add_argument("--cases", nargs="+", help="names of their files")
    parser.add_argument("--samplers", nargs="+", choices=(*RIVALS, "exact"))
    parser.add_argument("--workers", type=int, default=2, help="searches side by side")
    parser.add_argument("--at-most", type=int, help="searches, then stop")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--out", type=Path, default=ROOT / "out/bench_search.jsonl")
    parser.add_argument("--pictures", type=Path, default=ROOT / "out", help="folder")
    return parser.parse_args()


def _wanted(name: str, samplers: Sequence[str] | None) -> bool:
    return not samplers or name in samplers


def groups_of(seeds: int, *, quick: bool) -> list[Group]:
    """Every case with its cells, five seeds or so of each sampler."""
    shorter = 0.25 if quick else 1.0
    small = {
        case: {
            "exact": cells_of(case, "exact", 1, None, MOST_PLANS),
            "mobo": cells_of(case, "mobo", seeds, SMALL_S, SMALL_EVALUATIONS),
        }
        for case in _cases("cases/small-*.yaml")
    }
    large = {
        case: {name: cells_of(case, name, seeds, shorter * CLOCKS_S[-1]) for name in RIVALS}
        for case in _cases("cases/large-*.yaml")
    }
    table = {
        case: {
            name: cells_of(case, name, seeds, shorter * TABLE_S, judged=True)
            for name in ("mobo", *BASELINES)
        }
        for case in _cases("scenarios/*.yaml")
    }
    kinds = {"small": small, "large": large, "table": table}
    return [
        Group(ROOT / case, kind, cells)
        for kind, cases in kinds.items()
        for case, cells in cases.items()
    ]


def _cases(pattern: str) -> list[str]:
    """Files of cases by a pattern, as paths from the root of the repository."""
    return [path.relative_to(ROOT).as_posix() for path in sorted(HERE.glob(pattern))]


def bars_of(groups: Sequence[Group], store: Store, pictures: Path) -> list[Bar]:
    """The bars of all cases whose cells are there; draws them, and prints the tables."""
    bars: list[Bar] = []
    scenarios: list[Scenario] = []
    large: dict[str, dict[str, list[Record]]] = {}
    clocks_s: list[float] = []
    for group in groups:
        found = group.records(store)
        if found.keys() != group.cells.keys():
            continue
        if group.kind == "small":
            exact = found["exact"][0]
            bars.append(
                near_enumeration(group.case.stem, exact, found["mobo"], SMALL_EVALUATIONS, SMALL_S)
            )
        elif group.kind == "large":
            limit_s = group.cells["mobo"][0].seconds or CLOCKS_S[-1]
            clocks_s = [clock_s for clock_s in CLOCKS_S if clock_s <= limit_s]
            bars += first_at_each_clock(group.case.stem, found, clocks_s)
            large[group.case.stem] = found
            write_picture(group.case.stem, found, pictures / f"search-{group.case.stem}.png")
        elif (scenario := scenario_of(group.case, found)) is not None:
            scenarios.append(scenario)
    if large:
        print(medians(large, clocks_s), end="\n\n")
    if scenarios:
        print(markdown(scenarios), end="\n\n")
        bars += cost_bars(scenarios)
    return bars


if __name__ == "__main__":
    main()
