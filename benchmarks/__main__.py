"""`make bench`: measures what boute claims of itself, and writes it as JSON.

    python -m benchmarks [--out FILE] [--quick]

The quickstart from command to report, its first feasible plan and its memory; `boute --help`; the
simulator's rate; the hypervolume of MOBO with 64 evaluations against Sobol with 256 over five
seeds; and whether one seed gives one front. `--quick` takes one seed and one repeat.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.search_quality import compare_samplers

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = ROOT / "examples/quickstart/boute.yaml"
AZURE = ROOT / "examples/azure/boute.yaml"
SEEDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "out/bench.json")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    repeats = 1 if arguments.quick else 3
    seeds = 1 if arguments.quick else SEEDS
    specs = [spec for spec in (QUICKSTART, AZURE) if _has_data(spec)]
    result = {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "help_s": _median([_help_s() for _ in range(5)]),
        "quickstart": _quickstart(repeats),
        "same_seed_same_bytes": _same_bytes(),
        "simulator": _simulator(),
        "search": {str(spec.relative_to(ROOT)): compare_samplers(spec, seeds) for spec in specs},
    }
    result["bars"] = _bars(result)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def _quickstart(repeats: int) -> dict[str, float]:
    runs = [_timed_run() for _ in range(repeats)]
    return {name: _median([run[name] for run in runs]) for name in runs[0]}


def _timed_run() -> dict[str, float]:
    """One run of the command, its time to the first feasible plan read from what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "boute", "optimize", str(QUICKSTART), "--out", folder],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        first_s = float("nan")
        for line in process.stderr:
            if "first feasible plan" in line:
                first_s = time.monotonic() - start
        if process.wait() != 0:
            raise SystemExit("the quickstart failed")
        seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024.0
    return {"seconds": seconds, "first_feasible_s": first_s, "peak_memory_mib": peak}


def _same_bytes() -> bool:
    fronts = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "boute", "optimize", str(QUICKSTART), "--out", folder]
            subprocess.run([*command, "--seed", "7"], cwd=ROOT, check=True, capture_output=True)
            fronts.append((Path(folder) / "front.json").read_bytes())
    return fronts[0] == fronts[1]


def _help_s() -> float:
    start = time.monotonic()
    command = [sys.executable, "-m", "boute", "--help"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.monotonic() - start


def _simulator() -> Any:
    command = [sys.executable, "-m", "benchmarks.simulator_rate"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _bars(result: dict[str, Any]) -> dict[str, bool]:
    quickstart = result["quickstart"]
    return {
        "quickstart under 30 s": quickstart["seconds"] < 30.0,
        "first feasible plan within 5 s": quickstart["first_feasible_s"] < 5.0,
        "peak memory under 1.5 GB": quickstart["peak_memory_mib"] < 1.5e9 / 2**20,
        "boute --help under 0.5 s": result["help_s"] < 0.5,
        "simulator over 500,000 requests a second": min(
            run["requests_per_s"] for run in result["simulator"]["runs"]
        )
        > 500_000,
        "same seed, same front": result["same_seed_same_bytes"],
    } | {
        f"mobo with 64 beats sobol with 256 on {name}": (
            found["mobo_64"]["median"] > found["sobol_256"]["median"]
        )
        for name, found in result["search"].items()
    }


def _has_data(spec: Path) -> bool:
    """Whether the files that a spec names are there: the Azure example needs downloads."""
    from boute.spec.load import load_spec, resolve

    loaded = load_spec(spec)
    named = [loaded.workload.trace or "", loaded.quality.table]
    return all("/" not in name or resolve(name, spec.parent).is_file() for name in named)


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


if __name__ == "__main__":
    main()
