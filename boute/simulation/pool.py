"""Requests over the equal replicas of one pool, from arrival to last token.

A replica is vLLM V1 at step level; which replica a request goes to is decided as Ray Serve does
it: two replicas are drawn, and the one with fewer ongoing requests takes it. Only those two need to
be simulated up to the arrival, so a pool costs no more than its replicas one by one. A replica that
is not ready yet is not drawn; with none ready, requests wait for the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from boute.compiled import kernel
from boute.performance.replica import Replica
from boute.simulation.pipelined import run_batches
from boute.simulation.single import run_steps
from boute.simulation.state import (
    ENGINE,
    NOBODY,
    REQUEST,
    Engine,
    Pipelines,
    Pool,
    enqueue,
    ongoing,
)

__all__ = ["Dispatch", "PoolRun", "draw_candidates", "fits", "simulate_pool"]


@dataclass(frozen=True, eq=False)
class PoolRun:
    """What became of N requests on R replicas.

    `ttft_s` [N] is from arrival to first token, `queue_s` [N] from arrival to first scheduling,
    `finish_s` [N] the absolute time of the last token. Requests that exceed the KV cache of a
    replica are marked in `failed` [N], as vLLM refuses them: their times are infinite and their
    `replica` [N] is -1. `busy_s` [R] is the time with a batch on the GPUs, `dynamic_j` the energy
    above idle of all replicas, `kv_peak` the largest share of a replica's KV blocks in use, `end_s`
    the time of the last token (the last arrival, if nothing ran), `waiting_at_last_arrival` the
    length of the waiting queues just after the last arrival.
    """

    arrival_s: NDArray[np.float64]
    ttft_s: NDArray[np.float64]
    queue_s: NDArray[np.float64]
    finish_s: NDArray[np.float64]
    failed: NDArray[np.bool_]
    replica: NDArray[np.int64]
    preemptions: int
    steps: int
    busy_s: NDArray[np.float64]
    dynamic_j: float
    kv_peak: float
    end_s: float
    waiting_at_last_arrival: int

    def __len__(self) -> int:
        return len(self.arrival_s)


class Dispatch(NamedTuple):
    """The time [N] at which each request is given to a replica, and two to choose from [N, 2]."""

    at_s: NDArray[np.float64]
    candidates: NDArray[np.int64]


def simulate_pool(
    replica: Replica,
    replicas: int,
    arrival_s: NDArray[np.float64],
    input_tokens: NDArray[np.int64],
    output_tokens: NDArray[np.int64],
    seed: int,
    *,
    ready_s: Sequence[float] = (),
) -> PoolRun:
    """Run N requests, in order of arrival, to the end of the last; the same seed, the same bytes.

    `arrival_s` [N] ascends, `input_tokens` and `output_tokens` [N] are at least 1. `ready_s` has
    the time from which each replica takes requests, on the clock of the arrivals; without it all
    do from the start. Raise ValueError for anything else, and for less than one replica.
    """
    _check(replicas, arrival_s, input_tokens, output_tokens)
    dispatch = draw_candidates(arrival_s, replicas, seed, ready_s=ready_s)
    pool = _new_pool(replica, replicas, len(arrival_s))
    requests, engines = pool.requests, pool.engines
    requests["arrival_s"] = dispatch.at_s
    requests["input"] = input_tokens
    requests["output"] = output_tokens
    requests["failed"] = ~fits(replica, input_tokens, output_tokens)
    pipelines = None
    if replica.stages > 1:
        shape = (replicas, replica.stages)
        pipelines = Pipelines(stage_free_s=np.zeros(shape), batch_end_s=np.zeros(shape))
    waiting = int(_run(pool, pipelines, dispatch.candidates))
    finish_s = requests["finish_s"].copy()
    done = np.isfinite(finish_s)
    last_s = float(arrival_s[-1]) if len(arrival_s) else 0.0
    least_free = int(engines["least_free"].min())
    return PoolRun(
        arrival_s=arrival_s,
        ttft_s=requests["first_s"] - arrival_s,
        queue_s=np.where(done, requests["start_s"], np.inf) - arrival_s,
        finish_s=finish_s,
        failed=requests["failed"] == 1,
        replica=requests["replica"].copy(),
        preemptions=int(engines["preemptions"].sum()),
        steps=int(engines["steps"].sum()),
        busy_s=engines["busy_s"].copy(),
        dynamic_j=float(engines["joules"].sum()),
        kv_peak=1.0 - least_free / replica.kv_blocks if replica.kv_blocks > 0 else 0.0,
        end_s=float(finish_s[done].max()) if done.any() else last_s,
        waiting_at_last_arrival=waiting,
    )


def fits(
    replica: Replica, input_tokens: NDArray[np.int64], output_tokens: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether an empty replica can hold each request to its end; the last token is not cached."""
    blocks = -(-(input_tokens + output_tokens - 1) // replica.block_size)
    return np.asarray(blocks <= replica.kv_blocks)


def draw_candidates(
    arrival_s: NDArray[np.float64], replicas: int, seed: int, *, ready_s: Sequence[float] = ()
) -> Dispatch:
    """When each request goes to a replica, and which two are drawn for it.

    The two differ where two are ready. Raise ValueError for a time to ready that is not finite or
    not one for each replica.
    """
    random = np.random.default_rng(seed)
    if not any(ready_s):
        first = random.integers(replicas, size=len(arrival_s))
        other = random.integers(max(replicas - 1, 1), size=len(arrival_s))
        second = (first + 1 + other) % replicas
        return Dispatch(arrival_s, np.stack([first, second], axis=1))
    if len(ready_s) != replicas or not np.all(np.isfinite(ready_s)):
        raise ValueError("every replica has a finite time to ready")
    order = np.argsort(ready_s, kind="stable")
    known_s = np.asarray(ready_s, np.float64)[order]
    at_s = np.maximum(arrival_s, known_s[0])
    up = np.searchsorted(known_s, at_s, side="right")
    first = random.integers(up)
    second = (first + 1 + random.integers(np.maximum(up - 1, 1))) % up
    return Dispatch(at_s, order[np.stack([first, second], axis=1)])


def _check(
    replicas: int,
    arrival_s: NDArray[np.float64],
    input_tokens: NDArray[np.int64],
    output_tokens: NDArray[np.int64],
) -> None:
    if replicas < 1:
        raise ValueError("a pool has at least one replica")
    if not len(arrival_s) == len(input_tokens) == len(output_tokens):
        raise ValueError("arrivals, inputs and outputs have one length")
    if not np.all(np.isfinite(arrival_s)) or np.any(np.diff(arrival_s) < 0):
        raise ValueError("arrivals are finite and ascend")
    if np.any(input_tokens < 1) or np.any(output_tokens < 1):
        raise ValueError("token counts are at least 1")


def _new_pool(replica: Replica, replicas: int, requests: int) -> Pool:
    # vLLM refuses to start with a token budget below max_num_seqs.
    sequences = min(replica.max_num_seqs, replica.max_num_batched_tokens)
    pool = Pool(
        requests=np.zeros(requests, REQUEST),
        engines=np.zeros(replicas, ENGINE),
        due=np.zeros((replicas, sequences), np.int64),
        growth=np.zeros((replicas, replica.block_size), np.int64),
        costs=replica.costs,
    )
    pool.requests["start_s"] = -np.inf
    pool.requests["first_s"] = np.inf
    pool.requests["finish_s"] = np.inf
    pool.requests["replica"] = NOBODY
    pool.engines["free"] = replica.kv_blocks
    pool.engines["given_back"] = replica.kv_blocks
    pool.engines["least_free"] = replica.kv_blocks
    pool.engines["ahead"] = replica.async_scheduling and replica.stages == 1
    pool.engines["stages"] = replica.stages
    pool.engines["block_size"] = replica.block_size
    pool.engines["max_num_seqs"] = sequences
    pool.engines["max_num_batched_tokens"] = replica.max_num_batched_tokens
    for nobody in ("newest", "partial", "done_last", "done_before"):
        pool.engines[nobody] = NOBODY
    return pool


@kernel
def _run(pool: Pool, pipelines: Pipelines | None, candidates: NDArray[np.int64]) -> int:
    """Dispatch and run every request; return how many wait just after the last arrival."""
    last_s = 0.0
    for index in range(len(pool.requests)):
        last_s = pool.requests[index].arrival_s
        if pool.requests[index].failed == 0:
            for place in range(candidates.shape[1]):
                _advance(pool, pipelines, candidates[index, place], last_s)
            choice, other = candidates[index, 0], candidates[index, 1]
            if ongoing(pool.engines[other], last_s) < ongoing(pool.engines[choice], last_s):
                choice = other
            enqueue(pool.requests, pool.engines[choice], choice, index)
    waiting = 0
    for until_s in (last_s, np.inf):
        for replica in range(len(pool.engines)):
            _advance(pool, pipelines, replica, until_s)
            waiting += pool.engines[replica].waiting  # nobody is, in the end
    return waiting


@kernel
def _advance(pool: Pool, pipelines: Pipelines | None, replica: int, until_s: float) -> None:
    """Run what a replica starts before `until_s`.

    Compiled apart for pools with and without pipelines: with None the other branch is left out,
    which halves the time until the first result.
    """
    engine: Engine = pool.engines[replica]
    while engine.clock < until_s and engine.running + engine.waiting > 0:
        if pipelines is None:
            due, growth = pool.due[replica], pool.growth[replica]
            run_steps(pool.requests, pool.costs, engine, due, growth, until_s)
        else:
            ends = pipelines.batch_end_s[replica]
            run_batches(pool.requests, pool.costs, engine, pipelines.stage_free_s[replica], ends)
