"""Prints as JSON how many requests a second the simulator runs on one core.

    python -m benchmarks.simulator_rate

Llama 3.1 8B on H100 SXM, on the Azure conversation trace of 2023 where ../shared/data holds it and
on as many requests drawn from the preset fitted to it elsewhere. The trace is compressed so that
its mean rate is a given share of what the pool serves when it is never idle. Compilation is timed
apart, in a process with an empty cache. Times are of the processor, so that other work on the
machine does not count.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from boute.performance.build import build_replica
from boute.performance.replica import Replica
from boute.profiles.catalog import load_gpu, load_model
from boute.simulation.pool import simulate_pool
from boute.spec.family import ModelChoice
from boute.spec.model import Engine
from boute.spec.workload import WorkloadSource
from boute.workload.arrays import Trace
from boute.workload.source import load_trace

ROOT = Path(__file__).resolve().parent.parent
AZURE = ROOT.parent / "shared/data/azure2023/AzureLLMInferenceTrace_conv.csv"
REPEATS = 7
LOADS = (0.3, 0.5, 0.8, 1.2)
REPLICAS = (1, 4)


def main() -> None:
    source = WorkloadSource(trace=str(AZURE) if AZURE.exists() else "azure-conversation")
    trace = load_trace(source, ROOT, seed=0)
    replica = llama_on_h100()
    result = {
        "trace": AZURE.name if AZURE.exists() else "azure-conversation (preset)",
        "requests": len(trace),
        "replica": "llama-3.1-8b bf16 on one h100-sxm",
        "first_call_s": {"one stage": first_call_s(1), "two stages": first_call_s(2)},
        "runs": [
            measure(replica, trace, replicas, load) for replicas in REPLICAS for load in LOADS
        ],
    }
    json.dump(result, sys.stdout, indent=2)
    print()


def llama_on_h100() -> Replica:
    replica = build_replica(
        load_model("llama-3.1-8b", ROOT),
        load_gpu("h100-sxm", ROOT),
        ModelChoice(name="llama-3.1-8b"),
        Engine(),
        tensor_parallel=1,
        pipeline_parallel=1,
        max_model_len=32_768,
    )
    if isinstance(replica, str):
        raise SystemExit(replica)
    return replica


def measure(replica: Replica, trace: Trace, replicas: int, load: float) -> dict[str, float]:
    """Median over repeats of the rate at one load."""
    tokens = trace.input_tokens, trace.output_tokens
    at_once = simulate_pool(replica, replicas, np.zeros(len(trace)), *tokens, 0)
    arrival_s = trace.arrival_s * (at_once.end_s / trace.duration_s / load)
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        run = simulate_pool(replica, replicas, arrival_s, *tokens, 0)
        seconds.append(time.process_time() - start)
    median_s = statistics.median(seconds)
    return {
        "replicas": replicas,
        "load": load,
        "requests_per_s": round(len(trace) / median_s),
        "steps_per_s": round(run.steps / median_s),
        "run_ms": round(1e3 * median_s, 1),
        "steps": run.steps,
        "mean_concurrency": round(
            float((run.finish_s - arrival_s).sum() / run.end_s / replicas), 1
        ),
        "preemptions": run.preemptions,
    }


def first_call_s(stages: int) -> float:
    """Seconds of a first call that has to compile everything, imports left out."""
    code = (
        "import time, numpy as np\n"
        "from dataclasses import replace\n"
        "from benchmarks.simulator_rate import llama_on_h100\n"
        "from boute.simulation.pool import simulate_pool\n"
        f"replica = replace(llama_on_h100(), stages={stages})\n"
        "start = time.process_time()\n"
        "one = np.ones(1, np.int64)\n"
        "simulate_pool(replica, 1, np.zeros(1), one, one, 0)\n"
        "print(time.process_time() - start)\n"
    )
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    return round(float(done.stdout), 2)


if __name__ == "__main__":
    main()
