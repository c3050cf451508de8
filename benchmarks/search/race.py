"""Runs the cells that the store lacks: each in a process of its own, a few side by side."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import zip_longest
from typing import Final

from benchmarks.search.bars import volume_at
from benchmarks.search.cell import MANY, ROOT, Cell, Record, run_cell
from benchmarks.search.store import Store
from boute.optimizer.sampler import SAMPLERS

__all__ = ["DETERMINISTIC", "RIVALS", "cells_of", "interleaved", "run_missing"]

# On these cases looks are exact, and `mobo-gp` does what `mobo` does.
RIVALS: Final = tuple(name for name in SAMPLERS if name not in ("exact", "mobo-gp"))

DETERMINISTIC: Final = frozenset({"exact", "sequential", "single-model", "single-gpu"})
"""Samplers whose seed changes nothing: one run stands for all."""


def cells_of(
    case: str,
    sampler: str,
    seeds: int,
    seconds: float | None,
    evaluations: int = MANY,
    *,
    judged: bool = False,
) -> list[Cell]:
    """A sampler's cells of a case, a seed each; one for a sampler whose seed changes nothing."""
    if sampler in DETERMINISTIC:
        seeds = 1
    return [Cell(case, sampler, seed, seconds, evaluations, judged) for seed in range(seeds)]


def interleaved(groups: Iterable[Sequence[Cell]]) -> list[Cell]:
    """The first cell of each group, then the second of each: a slow hour meets all samplers."""
    rounds = zip_longest(*groups)
    return [cell for cells in rounds for cell in cells if cell is not None]


def run_missing(cells: Sequence[Cell], store: Store, workers: int, at_most: int | None) -> bool:
    """Run what the store lacks, at most so many; say whether it has them all now."""
    missing = [cell for cell in dict.fromkeys(cells) if store.find(cell) is None]
    chosen = missing[:at_most]
    if not chosen:
        return not missing
    # The kernels of the simulator are compiled here, and not in the first search's time.
    subprocess.run([sys.executable, "-m", "boute.warm"], cwd=ROOT, check=True)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, max_tasks_per_child=1) as pool:
        running = [pool.submit(run_cell, cell) for cell in chosen]
        for done, future in enumerate(as_completed(running), start=1):
            record = future.result()
            store.add(record)
            print(f"{done}/{len(missing)} {_line(record)}", file=sys.stderr, flush=True)
    return len(chosen) == len(missing)


def _line(record: Record) -> str:
    cell = Cell(**record["cell"])
    what = f"{cell.name} {cell.sampler} seed {cell.seed}"
    if record["error"]:
        return f"{what}: {record['error']}"
    volume = volume_at(record["curve"])
    ended = ", ended" if record["ended"] else ""
    slow = "/".join(f"{seconds:.3f}" for seconds in record["reference_s"])
    return (
        f"{what}: {volume:.4f} from {record['evaluations']} evaluations in "
        f"{record['seconds']:.1f} s{ended}, {record['peak_mib']} MiB, reference {slow} s"
    )
