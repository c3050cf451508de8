"""Planning again after a change of rate, price or inventory: started from the old study, and cold.

    python -m benchmarks.warm_start [--case NAME ...] [--change NAME ...] [--seeds N] [--out FILE]

An old study of 64 evaluations is made for each case. Then the world changes, and the search runs
for ten seconds of the clock in a process of its own, once with the old study and once from nothing,
for five seeds. Of the hypervolume at two, five and ten seconds the medians are printed, their
ratio, and the seconds at which a warm search has what the cold one ends with. The clock starts when
the new spec is loaded: the old study, what is carried over and the option table are in it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

from benchmarks.search.bars import Curve, volume_at
from boute.context import Context, prepare
from boute.optimizer.begin import begin
from boute.optimizer.earlier import load_earlier
from boute.optimizer.problem import Problem
from boute.optimizer.run import search_problem
from boute.optimizer.search import Limits, Step
from boute.optimizer.study import Study
from boute.optimizer.study_header import header_of
from boute.spec.load import load_spec
from boute.spec.model import Spec
from boute.world import changed_spec

ROOT: Final = Path(__file__).resolve().parent.parent
SEEDS: Final = 5
OLD_EVALUATIONS: Final = 64
AT_S: Final = (2.0, 5.0, 10.0)
CHANGES: Final = ("rate +20%", "rate -20%", "price x1.5", "inventory -25%")

# Four sizes on five types of GPU; and two sizes with a tight budget.
CASES: Final[dict[str, dict[str, Any]]] = {
    "qwen": {
        "models": ["qwen2.5-3b", "qwen2.5-7b", "qwen2.5-32b", "qwen2.5-72b"],
        "gpus": {
            "h100-sxm": {"count": 16},
            "a100-40gb": {"count": 16},
            "l40s": {"count": 16},
            "a10g": {"count": 16},
            "l4": {"count": 8},
        },
        "workload": {"trace": "azure-conversation", "rate_scale": 3, "duration_s": 600},
        "quality": {"table": "qwen2.5"},
        "targets": {"ttft_p95_s": 2, "quality_min": 0.55},
    },
    "tight": {
        "models": ["llama-3.1-8b", {"name": "llama-3.1-70b", "weights": "fp8"}],
        "gpus": {"h100-sxm": {"count": 8}, "a100-80gb": {"count": 8}, "l40s": {"count": 16}},
        "workload": {"trace": "azure-conversation", "rate_scale": 2, "duration_s": 600},
        "quality": {"table": "llama-3.1"},
        "targets": {"ttft_p95_s": 1.0, "quality_min": 0.7, "budget_per_hour": 40},
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="+", default=["quickstart", *CASES])
    parser.add_argument("--change", nargs="+", choices=CHANGES, default=CHANGES)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = [
        row for case in arguments.case for row in compare(case, arguments.change, arguments.seeds)
    ]
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    for place, second in enumerate(AT_S):
        ratios = [row["ratio"][place] for row in found]
        told = [ratio for ratio in ratios if ratio is not None]
        print(
            f"at {second:g} s: least ratio {min(told, default=0.0)}, {ratios.count(None)} without"
        )


def compare(case: str, changes: list[str], seeds: int) -> list[dict[str, Any]]:
    """Warm and cold searches of a case, a row a change, printed as they come."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "study.db"
        _search(_context(_spec(case)), None, old, 0, Limits(OLD_EVALUATIONS))
        for change in changes:
            curves: dict[str, list[Curve]] = {"warm": [], "cold": []}
            for seed in range(seeds):  # in turns, so that both have the machine as it is
                curves["warm"].append(_alone(case, change, old, seed))
                curves["cold"].append(_alone(case, change, None, seed))
            row = _row(case, change, curves)
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
            rows.append(row)
    return rows


def _row(case: str, change: str, curves: dict[str, list[Curve]]) -> dict[str, Any]:
    at = {
        kind: [round(statistics.median(volume_at(curve, s) for curve in found), 4) for s in AT_S]
        for kind, found in curves.items()
    }
    reached = [
        next((second for _, second, volume in curve if volume >= at["cold"][-1]), float("inf"))
        for curve in curves["warm"]
    ]
    return {
        "case": case,
        "change": change,
        "warm": at["warm"],
        "cold": at["cold"],
        "ratio": [
            round(warm / cold, 3) if cold else None
            for warm, cold in zip(at["warm"], at["cold"], strict=True)
        ],
        "seconds_to_cold_end": statistics.median(reached),
    }


def _alone(case: str, change: str, old: Path | None, seed: int) -> Curve:
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        return pool.submit(_curve, case, change, old, seed).result()


def _curve(case: str, change: str, old: Path | None, seed: int) -> Curve:
    context = _context(_changed(_spec(case), change))
    return _search(context, old, None, seed, Limits(100_000, time.monotonic() + AT_S[-1]))


def _search(
    context: Context, old: Path | None, file: Path | None, seed: int, limits: Limits
) -> Curve:
    started = time.monotonic()
    curve: list[tuple[int, float, float]] = []

    def note(step: Step) -> None:
        seconds = round(time.monotonic() - started, 3)
        curve.append((len(curve) + 1, seconds, step.hypervolume))

    problem = Problem(context)
    start = begin(problem, load_earlier(old)) if old is not None else None
    with Study(file, header_of(context, "benchmark", start)) as study:
        search_problem(problem, study, "mobo", seed, limits, on_step=note)
    return curve


def _spec(case: str) -> Spec:
    if case in CASES:
        return Spec.model_validate(CASES[case])
    return load_spec(ROOT / "examples" / case / "boute.yaml")


def _changed(spec: Spec, change: str) -> Spec:
    if change.startswith("rate"):
        return changed_spec(spec, rate_scale=1.2 if "+" in change else 0.8)
    dearer = next(iter(spec.gpus))
    if change.startswith("price"):
        price = next(s.price_per_hour for s in _context(spec).supplies if s.name == dearer)
        return changed_spec(spec, prices={dearer: 1.5 * price})
    gpus = {
        name: gpu.model_copy(update={"count": gpu.count * 3 // 4})
        for name, gpu in spec.gpus.items()
    }
    return spec.model_copy(update={"gpus": gpus})


def _context(spec: Spec) -> Context:
    return prepare(spec, ROOT)


if __name__ == "__main__":
    main()
