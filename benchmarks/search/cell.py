"""A cell is one search: a case, a sampler, a seed and a clock. It runs in a fresh process.

So no search finds loaded what another had to load, and its peak memory is its own. Beside its
curve a cell notes how long a fixed piece of work takes just before and after it: on a shared
machine that tells a slow search from a slow minute.
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from boute.context import prepare
from boute.errors import BouteError
from boute.files import sha256_of
from boute.optimizer.rivalry import Run, run_sampler
from boute.plan.decision import Decision
from boute.spec.load import load_spec, spec_hash

__all__ = ["MANY", "ROOT", "Cell", "Record", "hash_of_case", "hash_of_source", "run_cell"]

ROOT: Final = Path(__file__).resolve().parents[2]

MANY: Final = 1_000_000
"""Evaluations that no search gets to: the clock ends it."""

Record = dict[str, Any]
"""What a cell leaves: JSON, one line of the store."""

_DATA: Final = "profiles/**/*.yaml"


@dataclass(frozen=True)
class Cell:
    """One search. `case` is the file of a spec, from the root of
    the repository; `seconds` is None where it goes to its end.

    Where `judged`, the plans of its front are simulated on another trace afterwards.
    """

    case: str
    sampler: str
    seed: int
    seconds: float | None
    evaluations: int = MANY
    judged: bool = False

    @property
    def name(self) -> str:
        """The case, by its file."""
        return Path(self.case).stem


def run_cell(cell: Cell) -> Record:
    """Search, and say what came of it; an error of the case or the sampler is told in `error`."""
    before_s = _reference_s()
    path = ROOT / cell.case
    record: Record = {"cell": asdict(cell), "case_hash": hash_of_case(cell.case), "error": None}
    record |= {"curve": [], "evaluations": 0, "ended": True, "seconds": 0.0, "front": []}
    try:
        context = prepare(load_spec(path), path.parent, where=cell.case)
        run = run_sampler(context, cell.sampler, cell.seed, cell.evaluations, cell.seconds)
    except BouteError as error:
        record["error"] = str(error)
    else:
        record |= _told(run)
        if cell.judged:
            from benchmarks.search.judge import judge

            decisions = [trial.decision for trial in run.front if trial.decision is not None]
            record["judged"] = judge(path, decisions)
    return record | {
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "reference_s": [before_s, _reference_s()],
        "sources": _sources(),
    }


def hash_of_case(case: str) -> str:
    """What the case asks, as studies know it."""
    path = ROOT / case
    return spec_hash(load_spec(path), path.parent)


@cache
def hash_of_source(name: str) -> str | None:
    """Short hash of a file of this repository, or of all that match; None where there is none."""
    files = sorted(ROOT.glob(name))
    return sha256_of(*(file.read_bytes() for file in files))[:12] if files else None


def _told(run: Run) -> Record:
    """The run as JSON. Of the curve only the evaluations that raised it, and the last."""
    curve = list(zip(run.curve.seconds, run.curve.hypervolume, strict=True))
    kept = [
        (count, seconds, volume)
        for count, (seconds, volume) in enumerate(curve, start=1)
        if count in (1, len(curve)) or volume > curve[count - 2][1]
    ]
    return {
        "curve": kept,
        "evaluations": len(curve),
        "ended": run.ended,
        "seconds": round(run.seconds, 2),
        "front": [_plan(trial.decision) for trial in run.front if trial.decision is not None],
    }


def _plan(decision: Decision) -> Record:
    return {
        "routing": decision.routing.model_dump(mode="json", exclude={"models", "dial"}),
        "pools": [pool.model_dump(mode="json") for pool in decision.pools],
    }


def _sources() -> dict[str, str]:
    """Of each module loaded here that searches or judges, and of the data, the hash."""
    files = [
        Path(module.__file__).relative_to(ROOT).as_posix()
        for name, module in sorted(sys.modules.items())
        if name.split(".")[0] == "boute" or name == "benchmarks.search.judge"
        if module.__file__
    ]
    return {name: found for name in [*files, _DATA] if (found := hash_of_source(name))}


def _reference_s() -> float:
    """Seconds of a fixed piece of work, of Python's and of numpy's kind; the least of five."""
    return round(min(_work_s() for _ in range(5)), 4)


def _work_s() -> float:
    start = time.perf_counter()
    values = np.random.default_rng(0).random(1_000_000)
    np.sort(values)
    total = 0
    for number in range(1_000_000):
        total += number % 7
    return time.perf_counter() - start
