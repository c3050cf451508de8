"""Hypervolume of MOBO with 64 evaluations against Sobol with 256, over seeds.

    python -m benchmarks.search_quality [SPEC ...]

Hypervolume is normalised: the reference point comes from the spec, the same for every run.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from boute.context import prepare
from boute.optimizer.rivalry import run_sampler
from boute.spec.load import load_spec

RUNS = (("mobo", 64), ("sobol", 256), ("nsga2", 256))
SEEDS = 5


def compare_samplers(spec_file: Path, seeds: int) -> dict[str, Any]:
    """Hypervolumes and seconds of each run of RUNS: every seed, median, least and most."""
    spec = load_spec(spec_file)
    context = prepare(spec, spec_file.parent, where=str(spec_file))
    found: dict[str, Any] = {}
    for sampler, evaluations in RUNS:
        runs = [run_sampler(context, sampler, seed, evaluations) for seed in range(seeds)]
        volumes = [run.hypervolume for run in runs]
        found[f"{sampler}_{evaluations}"] = {
            "median": round(statistics.median(volumes), 4),
            "least": round(min(volumes), 4),
            "most": round(max(volumes), 4),
            "seconds": round(statistics.median(run.seconds for run in runs), 2),
        }
    return found


if __name__ == "__main__":
    root = Path(__file__).resolve().parent.parent
    specs = [Path(name) for name in sys.argv[1:]] or [root / "examples/quickstart/boute.yaml"]
    print(json.dumps({str(spec): compare_samplers(spec, SEEDS) for spec in specs}, indent=2))
