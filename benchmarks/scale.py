"""A front at scale: seconds, memory, evaluations, hypervolume, front and the error of thinning.

    python -m benchmarks.scale [SPEC] [--sampler mobo] [--time-limit S] [--check N] [--out DIR]

Runs `boute optimize SPEC --workers 2` (by default examples/scale: eight models, twelve GPU types,
256 GPUs, a day at 200 requests a second) in a fresh process that may use two cores. Memory is the
highest sum of the proportional set sizes of all its processes. `--check N` then simulates N plans,
spread over the front, on the whole day, and holds the error of thinning against what is found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from boute.outcome import Outcome

ROOT = Path(__file__).resolve().parent.parent
CORES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", nargs="?", type=Path, default=ROOT / "examples/scale/boute.yaml")
    parser.add_argument("--sampler", default="mobo")
    parser.add_argument("--time-limit", type=float, default=240.0)
    parser.add_argument("--check", type=int, default=0)
    parser.add_argument("--out", type=Path, help="keep the results of the search here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = (arguments.out or Path(folder)).absolute()
        options = ["--sampler", arguments.sampler, "--time-limit", str(arguments.time_limit)]
        options += ["--evaluations", "1000000"]
        start = time.monotonic()
        summary, peak_mib = boute(
            "optimize", arguments.spec, "--workers", CORES, "--out", out, "--json", *options
        )
        result = {
            "spec": str(arguments.spec),
            "seconds": round(time.monotonic() - start, 1),
            "peak_memory_mib": round(peak_mib),
            "evaluations": summary["evaluations"],
            "hypervolume": round(summary["hypervolume"], 4),
            "front": len(summary["plans"]),
            "thinning": summary["thinning"],
        }
        files = [plan["file"] for plan in summary["plans"]]
        step = max(len(files) // max(arguments.check, 1), 1)
        result["checked"] = [check(Path(file)) for file in files[::step][: arguments.check]]
    print(json.dumps(result, indent=2))


def check(plan: Path) -> dict[str, Any]:
    """Objectives of a plan as thinned and on the whole day, and the error that was stated."""
    start = time.monotonic()
    told, _ = boute("simulate", plan, "--json")
    thinned = Outcome.model_validate(told)
    middle = time.monotonic()
    told, peak_mib = boute("simulate", plan, "--whole", "--json")
    whole = Outcome.model_validate(told)
    seconds = {"thinned": middle - start, "whole": time.monotonic() - middle}
    metrics = {
        name: {"thinned": thinned.value(name), "whole": whole.value(name), "error": error}
        for name, error in thinned.thinning_error.items()
    }
    return {
        "plan": plan.stem,
        "verdict": {"thinned": thinned.verdict, "whole": whole.verdict},
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "peak_memory_mib_whole": round(peak_mib),
        "metrics": {
            name: {which: round(value, 4) for which, value in found.items()}
            for name, found in metrics.items()
        },
    }


def boute(*arguments: object) -> tuple[dict[str, Any], float]:
    """What a command prints as JSON, and the most memory that it and its children held, MiB."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-m", "boute"]
            + [str(argument) for argument in arguments],
            cwd=ROOT,
            stdout=answer,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, memory_mib(process.pid))
            time.sleep(0.2)
        if process.returncode != 0:
            raise SystemExit(f"boute {arguments[0]} failed")
        answer.seek(0)
        return json.load(answer), peak


def memory_mib(pid: int) -> float:
    """Proportional set size of a process and all below it; what they share counts once."""
    total, waiting = 0.0, [str(pid)]
    while waiting:
        one = waiting.pop()
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += sum(int(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:"))
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += (task / "children").read_text().split()
        except OSError:
            continue  # it has ended meanwhile
    return total / 1024.0


if __name__ == "__main__":
    main()
