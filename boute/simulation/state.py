"""What a pool is while it runs: flat records that compiled code shares, and the two queues.

A request is in one of two linked lists of its engine: the running list, in order of admission
(`oldest` to `newest`, linked by `older` and `newer`), or the waiting queue (`waiting_first` to
`waiting_last`, linked by `newer`). Lists hold indices into `Pool.requests`; NOBODY ends them.
How engines use them is in `boute.simulation.single` and `boute.simulation.pipelined`.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from boute.compiled import kernel
from boute.performance.step import CONTEXT_J, CONTEXT_S, PAIR_J, PAIR_S, step_fixed_j, step_fixed_s

__all__ = [
    "ENGINE",
    "NOBODY",
    "REQUEST",
    "Engine",
    "Floats",
    "Ints",
    "Pipelines",
    "Pool",
    "Records",
    "Request",
    "admit",
    "can_admit",
    "enqueue",
    "held_blocks",
    "ongoing",
    "preempt_running",
    "stage_j",
    "stage_s",
    "unlink_running",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Records = NDArray[np.void]

NOBODY: Final = -1


class Request(Protocol):
    """One request, a record of the array `Pool.requests`."""

    arrival_s: float
    start_s: float  # first scheduled
    first_s: float  # first token
    finish_s: float
    input: int
    output: int
    generated: int  # tokens answered; in `single` only up to date while not decoding
    computed: int  # tokens in the KV cache; in `single` only up to date while not decoding
    origin: int  # `single`, decoding: tokens in the KV cache less the engine's steps
    due: int  # `single`, decoding: the engine's steps when the answer is complete
    batch: int  # `pipelined`: 1 + number of the batch in flight that brings a token, or 0
    older: int
    newer: int
    replica: int
    failed: int  # 1 for a request that no replica can hold


class Engine(Protocol):
    """One replica, a record of the array `Pool.engines`."""

    clock: float  # start of the next step
    busy_s: float
    busy_until: float
    joules: float
    free: int  # KV blocks
    least_free: int
    running: int
    oldest: int
    newest: int
    waiting: int
    waiting_first: int
    waiting_last: int
    partial: int  # the one running request whose prefill is unfinished; it is always the newest
    just_finished: int  # requests that completed at `clock`
    preemptions: int
    steps: int
    decoding: int  # `single`: running requests past their prefill
    context: int  # `single`: their tokens in the KV cache
    in_flight: int  # `pipelined`: batches between the first and the last stage
    stages: int
    block_size: int
    max_num_seqs: int
    max_num_batched_tokens: int


def _record(fields: type) -> np.dtype[np.void]:
    kinds = {"float": np.float64, "int": np.int64}
    return np.dtype([(name, kinds[kind]) for name, kind in fields.__annotations__.items()])


REQUEST: Final = _record(Request)
ENGINE: Final = _record(Engine)


class Pool(NamedTuple):
    """R equal replicas and their N requests, as compiled code sees them.

    `requests` [N] of REQUEST, `engines` [R] of ENGINE. `due` [R, max_num_seqs] holds the decoding
    requests of each engine, latest to finish first, packed as `due << 32 | index`, and
    `growth` [R, block_size] how many of them open a KV block at a step whose number has that
    remainder; `boute.simulation.single` keeps both. `costs` is that of `boute.performance.step`.
    """

    requests: Records
    engines: Records
    due: Ints
    growth: Ints
    costs: Floats


class Pipelines(NamedTuple):
    """The stages of R replicas that have several.

    `stage_free_s` [R, stages] is when each stage is next free, `batch_end_s` [R, stages] when the
    batches in flight return, batch i at i modulo stages.
    """

    stage_free_s: Floats
    batch_end_s: Floats


@kernel
def stage_s(costs: Floats, tokens: int, sequences: int, pairs: float, context: float) -> float:
    """Seconds of one stage of one step."""
    fixed_s = step_fixed_s(costs, float(tokens), float(sequences))
    return float(fixed_s + costs[PAIR_S] * pairs + costs[CONTEXT_S] * context)


@kernel
def stage_j(costs: Floats, tokens: int, sequences: int, pairs: float, context: float) -> float:
    """Joules above idle of one stage of one step."""
    fixed_j = step_fixed_j(costs, float(tokens), float(sequences))
    return float(fixed_j + costs[PAIR_J] * pairs + costs[CONTEXT_J] * context)


@kernel
def held_blocks(engine: Engine, tokens: int) -> int:
    """KV blocks that so many tokens occupy."""
    return (tokens + engine.block_size - 1) // engine.block_size


@kernel
def ongoing(engine: Engine, now_s: float) -> int:
    """Requests waiting or running at a time, as the dispatcher counts them.

    The engine is simulated up to the end of the step that covers `now_s`, so what finishes at that
    end is still ongoing.
    """
    count = engine.waiting + engine.running
    if engine.clock >= now_s:
        count += engine.just_finished
    return count


@kernel
def enqueue(requests: Records, engine: Engine, replica: int, index: int) -> None:
    """Put an arriving request at the back of the replica's waiting queue."""
    request: Request = requests[index]
    request.replica = replica
    request.newer = NOBODY
    if engine.running + engine.waiting == 0 and engine.clock < request.arrival_s:
        engine.clock = request.arrival_s
        engine.just_finished = 0
    if engine.waiting == 0:
        engine.waiting_first = index
    else:
        last: Request = requests[engine.waiting_last]
        last.newer = index
    engine.waiting_last = index
    engine.waiting += 1


@kernel
def can_admit(requests: Records, engine: Engine, room: int) -> bool:
    """Whether the head of the waiting queue can start with at most `room` tokens in this step."""
    if engine.waiting == 0 or room <= 0 or engine.running >= engine.max_num_seqs:
        return False
    request: Request = requests[engine.waiting_first]
    chunk = min(request.input + request.generated, room)
    return bool(held_blocks(engine, chunk) <= engine.free)


@kernel
def admit(requests: Records, engine: Engine, room: int) -> int:
    """Move the head of the waiting queue to the running list and return its first chunk, tokens.

    It becomes the engine's partial prefill; the caller clears that when the chunk completes it.
    """
    index = engine.waiting_first
    request: Request = requests[index]
    engine.waiting_first = request.newer
    engine.waiting -= 1
    request.older = engine.newest
    request.newer = NOBODY
    if engine.running == 0:
        engine.oldest = index
    else:
        newest: Request = requests[engine.newest]
        newest.newer = index
    engine.newest = index
    engine.running += 1
    engine.partial = index
    if request.start_s < 0.0:
        request.start_s = engine.clock
    chunk = min(request.input + request.generated, room)
    request.computed = chunk
    engine.free -= held_blocks(engine, chunk)
    return chunk


@kernel
def unlink_running(requests: Records, engine: Engine, index: int) -> None:
    """Take a request out of the running list."""
    request: Request = requests[index]
    if request.older == NOBODY:
        engine.oldest = request.newer
    else:
        older: Request = requests[request.older]
        older.newer = request.newer
    if request.newer == NOBODY:
        engine.newest = request.older
    else:
        newer: Request = requests[request.newer]
        newer.older = request.older
    engine.running -= 1


@kernel
def preempt_running(requests: Records, engine: Engine, index: int) -> None:
    """Move a running request to the front of the waiting queue, to be computed anew.

    `computed` has to be up to date; the KV blocks of so many tokens are freed.
    """
    request: Request = requests[index]
    unlink_running(requests, engine, index)
    engine.free += held_blocks(engine, request.computed)
    request.computed = 0
    request.newer = engine.waiting_first if engine.waiting > 0 else NOBODY
    if engine.waiting == 0:
        engine.waiting_last = index
    engine.waiting_first = index
    engine.waiting += 1
    engine.preemptions += 1
