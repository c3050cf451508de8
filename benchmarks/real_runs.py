"""Replays measured runs of vLLM request by request and prints how far the simulator is off.

    python -m benchmarks.real_runs [--data ../shared/data] [--json] [--write]

Runs are those of LLMServingSim (bench/examples at 5daddb2, MIT): vLLM 0.19, requests of ShareGPT at
ten a second, far more than either GPU carries. Step times come from coefficients that were fitted
on kernels. Then, what an error of steps does to latencies by utilisation: Poisson arrivals of the
same requests, with the replica as predicted and with one whose steps take that much longer.
`--write` keeps the errors in benchmarks/real_runs.json, which the tests hold later ones to.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boute.calibration.runs import LLMSERVINGSIM
from boute.performance import step
from boute.performance.build import build_replica
from boute.performance.estimate import find_model
from boute.performance.mix import lengths_of
from boute.performance.replica import Replica
from boute.performance.steady import capacity
from boute.profiles.catalog import load_gpu
from boute.simulation.pool import simulate_pool
from boute.simulation.replay import Agreement, RequestLog, Times, replay
from boute.spec.family import ModelChoice
from boute.spec.model import Engine

__all__ = ["KEPT", "load_run", "measured_runs"]

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "benchmarks/real_runs.json"
SHOWN = ("ttft_mean", "ttft_p50", "ttft_p95", "tpot_mean", "tpot_p50", "tpot_p95", "e2e_mean")
UTILISATIONS = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
STEP_ERRORS = (0.03, 0.05)
REQUESTS = 6000
# Places in the record of a step that are no durations.
NO_TIMES = [step.EXPERT_LOG_MISS, step.LINK_A_TOKENS, step.LINK_B_TOKENS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="keep the errors for the tests")
    options = parser.parse_args()
    runs = measured_runs(options.data)
    if not runs:
        raise SystemExit(f"no runs below {options.data}/llmservingsim/bench")
    found: dict[str, Any] = {name: report(*run) for name, run in runs.items()}
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    if options.write:
        kept = {
            name: {key: round(run["errors"][key], 4) for key in SHOWN}
            for name, run in found.items()
        }
        KEPT.write_text(json.dumps(kept, indent=2) + "\n")


def measured_runs(data: Path) -> dict[str, tuple[RequestLog, Replica]]:
    """The runs below a data folder with the replica that each was of, by GPU and model."""
    runs = {}
    for path in sorted((data / "llmservingsim/bench").glob("*/*/requests.jsonl")):
        log = load_run(path)
        runs[f"{LLMSERVINGSIM[path.parts[-3]]} {path.parts[-2]}"] = log, replica_of(path, log)
    return runs


def load_run(path: Path) -> RequestLog:
    """One log; arrivals are brought to the engine's clock by the quickest way in."""
    rows = path.read_text(encoding="utf-8").splitlines()
    frame = pd.DataFrame(json.loads(row) for row in rows).sort_values("arrival_time")
    arrival_s = frame.arrival_time + (frame.queued_ts - frame.arrival_time).min()
    start_s = arrival_s.min()
    names = ("scheduled_ts", "first_token_ts", "last_token_ts")
    return RequestLog(
        (arrival_s - start_s).to_numpy(float),
        frame.input_toks.to_numpy(np.int64),
        frame.output_toks.to_numpy(np.int64),
        Times(*((frame[name] - start_s).to_numpy(float) for name in names)),
    )


def replica_of(path: Path, log: RequestLog) -> Replica:
    """The replica that `meta.json` beside a log tells, with the blocks that vLLM had if told."""
    meta = json.loads((path.parent / "meta.json").read_text(encoding="utf-8"))
    kwargs = meta["engine_kwargs"]
    limits = {key: kwargs[key] for key in ("max_num_seqs", "max_num_batched_tokens")}
    replica = build_replica(
        find_model(meta["model"], Path()),
        load_gpu(LLMSERVINGSIM[path.parts[-3]], Path()),
        ModelChoice(name="measured"),
        Engine(**limits),
        tensor_parallel=kwargs["tensor_parallel_size"],
        pipeline_parallel=1,
        max_model_len=int((log.input_tokens + log.output_tokens).max()),
    )
    if isinstance(replica, str):
        raise SystemExit(f"{path}: {replica}")
    blocks = meta.get("kv_cache", {}).get("num_gpu_blocks")
    # One of vLLM's blocks is a placeholder.
    return replica if blocks is None else replace(replica, kv_blocks=blocks - 1)


def report(log: RequestLog, replica: Replica) -> dict[str, Any]:
    made = replay(log, replica)
    return {
        "errors": made.errors(),
        "occupancy": made.occupancy_errors(),
        "by load": by_load(made, replica),
        "by utilisation": by_utilisation(log, replica),
    }


def by_load(made: Agreement, replica: Replica) -> dict[str, Any]:
    """Errors of the requests that came while few ran, while many did, and while others waited."""
    log = made.log
    before = made.counts(log.times, log.arrival_s - 1e-9)
    held = log.input_tokens.mean() + log.output_tokens.mean() / 2
    places = min(replica.max_num_seqs, replica.kv_blocks * replica.block_size / held)
    waits = before["waiting"] > 1
    parts = {
        "under half the places taken": ~waits & (before["running"] < 0.5 * places),
        "more taken, nobody waits": ~waits & (before["running"] >= 0.5 * places),
        "others wait": waits,
    }
    return {
        name: {"requests": int(among.sum()), **made.errors(among=among)}
        for name, among in parts.items()
        if among.any()
    }


def by_utilisation(log: RequestLog, replica: Replica) -> dict[str, Any]:
    """What TTFT and TPOT are off by when every step takes longer than predicted."""
    random = np.random.default_rng(0)
    picked = random.integers(len(log.arrival_s), size=REQUESTS)
    tokens = log.input_tokens[picked], log.output_tokens[picked]
    gaps = random.exponential(1.0, REQUESTS)
    rows = {}
    for utilisation in UTILISATIONS:
        arrival_s = np.cumsum(gaps) / (utilisation * capacity(replica, lengths_of(*tokens)))
        run = simulate_pool(replica, 1, arrival_s, *tokens, 0)
        row = {"preempted": run.preemptions / REQUESTS}
        for error in STEP_ERRORS:
            times = Times(arrival_s + run.queue_s, arrival_s + run.ttft_s, run.finish_s)
            slower = replay(RequestLog(arrival_s, *tokens, times), slowed(replica, error))
            # Measured is the slower one: turn the error round.
            for key in ("ttft_mean", "ttft_p95", "tpot_mean"):
                row[f"{key} at {error:.0%}"] = 1.0 / (1.0 + slower.errors()[key]) - 1.0
        rows[str(utilisation)] = row
    return rows


def slowed(replica: Replica, error: float) -> Replica:
    """The replica with every step longer by a share of `error`."""
    costs = replica.costs * (1.0 + error)
    costs[NO_TIMES] = replica.costs[NO_TIMES]
    return replace(replica, costs=costs)


def show(found: dict[str, Any]) -> None:
    for name, run in found.items():
        print(f"\n{name}: (predicted - measured) / measured")
        parts = {"all requests": run["errors"], **run["by load"]}
        print(f"  {'':34}" + "".join(f"{key:>11}" for key in SHOWN))
        for part, errors in parts.items():
            count = f" ({errors['requests']})" if "requests" in errors else ""
            print(f"  {part + count:34}" + "".join(f"{errors[key]:>11.1%}" for key in SHOWN))
        occupancy = run["occupancy"]
        print(f"  running off by {occupancy['running']:.1%}, waiting by {occupancy['waiting']:.1%}")
        keys = list(next(iter(run["by utilisation"].values())))
        print("  utilisation " + "".join(f"{key:>18}" for key in keys))
        for utilisation, row in run["by utilisation"].items():
            print(f"  {utilisation:12}" + "".join(f"{row[key]:>18.1%}" for key in keys))


if __name__ == "__main__":
    main()
