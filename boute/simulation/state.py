"""What a pool is while it runs: flat records that compiled code shares, and the two queues.

A request is in one of two linked lists of its engine: the running list, in order of admission
(`oldest` to `newest`, linked by `older` and `newer`), or the waiting queue (`waiting_first` to
`waiting_last`, linked by `newer`). Lists hold indices into `Pool.requests`; NOBODY ends them.
How engines use them is in `boute.simulation.single` and `boute.simulation.pipelined`.

The free blocks of the KV cache are a queue, as in vLLM: blocks are taken from its front and given
back at its end, the last tokens of a request first, and hold what they held until they are taken.
So a preempted request finds the front part of its context again. Requests resume in the reverse
order of their preemption, hence two counts tell how much: of blocks given back, and of free ones.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from boute.compiled import kernel
from boute.performance.step import (
    BUSY_W,
    CONTEXT_J,
    CONTEXT_S,
    MIXED_CONTEXT_S,
    PAIR_J,
    PAIR_S,
    step_fixed_j,
    step_fixed_s,
)

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
    "free_blocks",
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
    kept: int  # preempted: blocks that held known tokens
    kept_from: int  # preempted: blocks that are taken from the queue before the last of those is
    older: int
    newer: int
    next_done: int  # `single`: links the requests whose last token is under way
    replica: int
    failed: int  # 1 for a request that no replica can hold


class Engine(Protocol):
    """One replica, a record of the array `Pool.engines`."""

    clock: float  # when the next step is scheduled
    end_s: float  # `single`: when the last step that was scheduled ends
    busy_s: float
    busy_until: float
    joules: float
    free: int  # KV blocks in the queue
    given_back: int  # KV blocks that ever were in the queue, less those found again
    least_free: int
    running: int
    oldest: int
    newest: int
    waiting: int
    waiting_first: int
    waiting_last: int
    partial: int  # the one running request whose prefill is unfinished; it is always the newest
    done_last: int  # `single`: first of the requests that end with the last step scheduled
    done_before: int  # `single`: first of those that end with the one before
    just_finished: int  # `pipelined`: requests that completed at `clock`
    preemptions: int
    steps: int
    decoding: int  # `single`: running requests past their prefill
    context: int  # `single`: their tokens in the KV cache
    in_flight: int  # `pipelined`: batches between the first and the last stage
    ahead: int  # steps that are scheduled before the one that runs has ended: 0 or 1
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
    context_s = costs[CONTEXT_S]
    if pairs > 0.0:
        context_s += costs[MIXED_CONTEXT_S]
    return float(fixed_s + costs[PAIR_S] * pairs + context_s * context)


@kernel
def stage_j(costs: Floats, tokens: int, sequences: int, pairs: float, context: float) -> float:
    """Joules above idle of one stage of one step."""
    fixed_j = step_fixed_j(costs, float(tokens), float(sequences))
    context_j = costs[CONTEXT_J]
    if pairs > 0.0:
        context_j += costs[BUSY_W] * costs[MIXED_CONTEXT_S]
    return float(fixed_j + costs[PAIR_J] * pairs + context_j * context)


@kernel
def held_blocks(engine: Engine, tokens: int) -> int:
    """KV blocks that so many tokens occupy."""
    return (tokens + engine.block_size - 1) // engine.block_size


@kernel
def free_blocks(engine: Engine, blocks: int) -> None:
    """Give blocks back to the queue."""
    engine.free += blocks
    engine.given_back += blocks


@kernel
def _blocks_found_again(engine: Engine, request: Request) -> int:
    """Blocks of a waiting request that the queue still holds; its last token is computed anew."""
    taken = engine.given_back - engine.free
    left = request.kept - max(0, taken - request.kept_from)
    return int(max(0, min(left, (request.input + request.generated - 1) // engine.block_size)))


@kernel
def ongoing(engine: Engine, now_s: float) -> int:
    """Requests waiting or running at a time, as the dispatcher counts them.

    The engine has scheduled all that starts before `now_s`, so what ends then is still ongoing.
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
    """Whether the head of the waiting queue can start with at most `room` tokens in this step.

    All of its tokens have to fit in the cache, even if only some are computed now.
    """
    if engine.waiting == 0 or room <= 0 or engine.running >= engine.max_num_seqs:
        return False
    request: Request = requests[engine.waiting_first]
    return bool(held_blocks(engine, request.input + request.generated) <= engine.free)


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
    found = _blocks_found_again(engine, request)
    cached = found * engine.block_size
    chunk = min(request.input + request.generated - cached, room)
    request.computed = cached + chunk
    request.kept = 0
    engine.given_back -= found
    engine.free -= held_blocks(engine, request.computed)
    return int(chunk)


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

    `computed` has to be up to date; its KV blocks are given back. The block that takes a token
    which is still under way is not found again.
    """
    request: Request = requests[index]
    unlink_running(requests, engine, index)
    held = held_blocks(engine, request.computed)
    request.kept = (request.computed - engine.ahead) // engine.block_size
    request.kept_from = engine.given_back + held - request.kept
    free_blocks(engine, held)
    request.computed = 0
    request.newer = engine.waiting_first if engine.waiting > 0 else NOBODY
    if engine.waiting == 0:
        engine.waiting_last = index
    engine.waiting_first = index
    engine.waiting += 1
    engine.preemptions += 1
