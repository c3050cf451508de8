"""What the performance model says of a measured run, in the same way as it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boute.calibration.runs import Replay, Run
from boute.errors import BouteError
from boute.performance.build import build_replica
from boute.performance.closed_loop import Load, run_loop
from boute.performance.estimate import find_model, vllm_engine
from boute.performance.replica import Replica
from boute.profiles.catalog import load_gpu
from boute.profiles.model import ModelCard
from boute.simulation.pool import simulate_pool
from boute.spec.family import ModelChoice

__all__ = ["Prediction", "predict"]

# Above this share of the places a run waits for its cache, and TTFT is the length of the test.
STARVED = 0.95
# Requests times tokens that a check steps through in a second or two.
MOST_STEPPED = 100_000_000


@dataclass(frozen=True)
class Prediction:
    """Seconds, of the statistic that the run reports. `load` is the share of the places taken."""

    ttft_s: float
    tpot_s: float
    load: float


def predict(run: Run) -> Prediction | str:
    """The prediction of a run, or why there is none."""
    try:
        model = find_model(run.model, Path())
        replica = _replica(run, model)
    except BouteError as problem:
        return str(problem)
    if isinstance(replica, str):
        return replica
    if isinstance(run.load, Replay):
        return _replayed(run, run.load, replica)
    return _looped(run, run.load, replica)


def _replica(run: Run, model: ModelCard) -> Replica | str:
    load = run.load
    longest = (
        int((load.input_tokens + load.output_tokens).max())
        if isinstance(load, Replay)
        else round(max(1.0, load.longest) * (load.input_tokens + load.output_tokens))
    )
    gpu = load_gpu(run.gpu, Path())
    return build_replica(
        model,
        gpu,
        ModelChoice(name=model.name, weights=run.weights, kv_cache=run.kv_cache),
        (run.engine or vllm_engine(gpu)).model_copy(update={"async_scheduling": run.asynchronous}),
        tensor_parallel=run.tp,
        pipeline_parallel=run.pp,
        max_model_len=longest,
    )


def _looped(run: Run, load: Load, replica: Replica) -> Prediction | str:
    if load.concurrency * load.rounds * load.output_tokens > MOST_STEPPED:
        return "takes too long to step through"
    cached = replica.kv_blocks * replica.block_size
    used = load.concurrency * (load.input_tokens + load.output_tokens) / cached
    used = max(used, load.concurrency / replica.max_num_seqs * STARVED)
    if used > STARVED:
        return f"waits for KV cache: {load.concurrency} requests take {used:.0%} of what there is"
    made = run_loop(replica, load)
    middle = np.median if run.statistic == "median" else np.mean
    return Prediction(float(middle(made.ttft_s)), float(middle(made.tpot_s)), used)


def _replayed(run: Run, load: Replay, replica: Replica) -> Prediction | str:
    made = simulate_pool(replica, 1, load.arrival_s, load.input_tokens, load.output_tokens, seed=0)
    if made.failed.any():
        return f"{int(made.failed.sum())} requests exceed the KV cache"
    middle = np.median if run.statistic == "median" else np.mean
    several = load.output_tokens > 1
    decode_s = made.finish_s - load.arrival_s - made.ttft_s
    tpot_s = decode_s[several] / (load.output_tokens[several] - 1)
    return Prediction(
        float(middle(made.ttft_s)),
        float(middle(tpot_s)) if several.any() else 0.0,
        made.kv_peak,
    )
