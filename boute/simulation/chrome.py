"""A run as a Chrome trace, to be opened in Perfetto or chrome://tracing.

Each replica is a process with a track per pipeline stage, whose slices are batches with what they
held, counters of KV blocks and waiting requests, and for every request a span of its own with
queue, prefill and decode inside. The slow reference makes the run, since the compiled engines keep
no record of steps; both give the same times. Format: "Trace Event Format" (Google, 2016).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boute.performance.replica import Replica
from boute.simulation.pool import draw_candidates, fits
from boute.simulation.reference import Batch, Engine, Request, run_reference

__all__ = ["chrome_trace"]

# About 30 MB of JSON, which the viewers still open at once.
MAX_BATCHES: Final = 50_000

Event = dict[str, Any]


def chrome_trace(
    name: str,
    replica: Replica,
    replicas: int,
    arrival_s: NDArray[np.float64],
    input_tokens: NDArray[np.int64],
    output_tokens: NDArray[np.int64],
    seed: int,
    *,
    ready_s: Sequence[float] = (),
    first_process: int = 0,
    max_batches: int = MAX_BATCHES,
) -> dict[str, Any]:
    """Run a pool as `simulate_pool` does with the same seed and return the trace as a JSON object.

    Times are in microseconds. Processes are numbered from `first_process`, so that the
    `traceEvents` of several pools can be put in one file. The run stops soon after `max_batches`;
    `otherData` says so, and how many requests the trace holds.
    """
    dispatch = draw_candidates(arrival_s, replicas, seed, ready_s=ready_s)
    held = fits(replica, input_tokens, output_tokens)
    engines, requests = run_reference(
        replica,
        replicas,
        dispatch.candidates[held].tolist(),
        dispatch.at_s[held].tolist(),
        input_tokens[held].tolist(),
        output_tokens[held].tolist(),
        max_batches=max_batches,
    )
    cut = any(request.finish_s == math.inf for request in requests) or len(requests) < held.sum()
    numbers = np.flatnonzero(held)
    for request in requests:
        request.index = int(numbers[request.index])
        request.arrival_s = float(arrival_s[request.index])
    events: list[Event] = []
    for place, engine in enumerate(engines):
        events.extend(_engine_events(f"{name} replica {place}", first_process + place, engine))
    for request in requests:
        events.extend(_request_events(first_process + request.replica, request))
    note = "complete"
    if cut:
        note = f"cut after {max_batches} batches: {len(requests)} of {len(arrival_s)} requests"
    if not held.all():
        note += f"; {int((~held).sum())} requests exceed the KV cache and are left out"
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"note": note}}


def _engine_events(name: str, process: int, engine: Engine) -> Iterator[Event]:
    yield {"ph": "M", "name": "process_name", "pid": process, "args": {"name": name}}
    for stage in range(engine.replica.stages):
        args = {"name": f"stage {stage}"}
        yield {"ph": "M", "name": "thread_name", "pid": process, "tid": stage, "args": args}
    for batch in engine.batches:
        yield from _batch_events(process, batch)


def _batch_events(process: int, batch: Batch) -> Iterator[Event]:
    held = {
        "tokens": batch.tokens,
        "decodes": len(batch.decodes),
        "prefills": {request.index: chunk for request, chunk in batch.prefills},
        "context": int(batch.context),
    }
    kind = "decode" if not batch.prefills else "mixed" if batch.decodes else "prefill"
    for stage, end_s in enumerate(batch.stage_end_s):
        at = {"pid": process, "tid": stage, "ts": 1e6 * (end_s - batch.stage_s)}
        yield {"ph": "X", "name": kind, "dur": 1e6 * batch.stage_s, "args": held, **at}
    counts = {"KV blocks": batch.kv_blocks, "waiting": batch.waiting}
    for counter, value in counts.items():
        at = {"pid": process, "ts": 1e6 * batch.start_s}
        yield {"ph": "C", "name": counter, "args": {counter: value}, **at}


def _request_events(process: int, request: Request) -> Iterator[Event]:
    """Nested spans of one request; parts that were not reached before a cut are left out."""
    # An id of the process only: other pools have a request of the same number.
    same = {"cat": "request", "id2": {"local": hex(request.index)}, "pid": process}
    whole = {"name": f"request {request.index}", **same}
    size = {"input_tokens": request.input, "output_tokens": request.output}
    parts: Sequence[tuple[str, float, float]] = (
        ("queue", request.arrival_s, request.start_s),
        ("prefill", request.start_s, request.first_s),
        ("decode", request.first_s, request.finish_s),
    )
    if request.finish_s < math.inf:
        yield {"ph": "b", "ts": 1e6 * request.arrival_s, "args": size, **whole}
    for name, start_s, end_s in parts:
        if end_s < math.inf:
            yield {"ph": "b", "ts": 1e6 * start_s, "name": name, **same}
            yield {"ph": "e", "ts": 1e6 * end_s, "name": name, **same}
    if request.finish_s < math.inf:
        yield {"ph": "e", "ts": 1e6 * request.finish_s, **whole}
