"""An engine of one stage: one batch at a time, each step in constant time.

Every running request past its prefill takes one token in every step, so nothing has to be updated
per request and step. Once a request decodes it is known after how many steps of the engine it will
finish (`due`) and at which remainders of that number it opens a KV block (`growth`); the tokens in
the KV cache of all of them grow by their number each step. A stretch of steps with no prefill, no
completion and no shortage of blocks has a cost affine in that sum, and is run in closed form.

With asynchronous scheduling (`ahead` = 1) a step is scheduled while the one before it runs, so it
starts when that ends and knows what had ended when that began. A step is timed when it is
scheduled; a request that it completes keeps its place and its blocks until the engine's clock has
reached the end of the step.
"""

from __future__ import annotations

import math

from boute.compiled import kernel
from boute.performance.step import CONTEXT_J, CONTEXT_S
from boute.simulation.state import (
    NOBODY,
    Engine,
    Floats,
    Ints,
    Records,
    Request,
    admit,
    can_admit,
    free_blocks,
    held_blocks,
    preempt_running,
    stage_j,
    stage_s,
    unlink_running,
)

__all__ = ["run_steps"]


@kernel
def run_steps(
    requests: Records, costs: Floats, engine: Engine, due: Ints, growth: Ints, until_s: float
) -> None:
    """Run one step, or a stretch of decoding steps that start before `until_s`.

    `due` and `growth` are the engine's rows of those of `Pool`.
    """
    _let_go(requests, engine)
    steps = _quiet_steps(requests, engine, due)
    fresh = 0
    if steps > 0:
        _stretch(costs, engine, growth, steps, until_s)
    else:
        fresh = _mixed_step(requests, costs, engine, due, growth)
    while engine.decoding > 0 and due[engine.decoding - 1] >> 32 == engine.steps:
        index = due[engine.decoding - 1] & 0xFFFFFFFF
        _leave_decoding(requests, engine, due, growth, index)
        _complete(requests, engine, index)
    if fresh > 0:
        _first_tokens(requests, engine, due, growth, fresh)


@kernel
def _let_go(requests: Records, engine: Engine) -> None:
    """Free the blocks and the places of requests whose last token is there."""
    _free(requests, engine, engine.done_before)
    engine.done_before = NOBODY
    if engine.end_s <= engine.clock:
        _free(requests, engine, engine.done_last)
        engine.done_last = NOBODY


@kernel
def _free(requests: Records, engine: Engine, index: int) -> None:
    while index != NOBODY:
        request: Request = requests[index]
        free_blocks(engine, held_blocks(engine, request.computed))
        unlink_running(requests, engine, index)
        index = request.next_done


@kernel
def _quiet_steps(requests: Records, engine: Engine, due: Ints) -> int:
    """Steps for which decoding is all there is to do and blocks cannot run short; maybe 0.

    While nobody finishes, free blocks only become fewer, so a waiting request that cannot be
    admitted now cannot be until then. Who is done and not let go yet is so after one step.
    """
    decoding = engine.decoding
    if decoding == 0 or engine.partial != NOBODY:
        return 0
    if can_admit(requests, engine, engine.max_num_batched_tokens - decoding):
        return 0
    steps = (due[decoding - 1] >> 32) - engine.steps if engine.done_last == NOBODY else 1
    # In block_size steps each request opens one block.
    return int(min(steps, engine.free // decoding * engine.block_size))


@kernel
def _stretch(costs: Floats, engine: Engine, growth: Ints, steps: int, until_s: float) -> None:
    """Run up to `steps` steps of decoding alone: those that are scheduled before `until_s`.

    Step i reads context + decoding * (i + 1) tokens, so the first m steps take
    m * flat_s + m^2 * slope_s; the number of them that starts in time is a root of that. Scheduled
    ahead is one more, if it is not too late for that already.
    """
    decoding = engine.decoding
    slope_s = 0.5 * costs[CONTEXT_S] * decoding
    flat_s = stage_s(costs, decoding, decoding, 0.0, float(engine.context + decoding)) - slope_s
    gap_s = until_s - max(engine.clock, engine.end_s)
    last = steps - 1 - engine.ahead
    if gap_s <= 0.0:
        steps = 1
    elif last >= 0 and last * (flat_s + last * slope_s) >= gap_s:
        root = 2.0 * gap_s / (flat_s + math.sqrt(flat_s * flat_s + 4.0 * slope_s * gap_s))
        in_time = max(1, math.ceil(root))
        while in_time > 1 and (in_time - 1) * (flat_s + (in_time - 1) * slope_s) >= gap_s:
            in_time -= 1
        while in_time * (flat_s + in_time * slope_s) < gap_s:
            in_time += 1
        steps = in_time + engine.ahead
    seconds = steps * (flat_s + steps * slope_s)
    but_last_s = (steps - 1) * (flat_s + (steps - 1) * slope_s)
    slope_j = 0.5 * costs[CONTEXT_J] * decoding
    flat_j = stage_j(costs, decoding, decoding, 0.0, float(engine.context + decoding)) - slope_j

    size = engine.block_size
    engine.free -= steps // size * decoding
    for i in range(steps % size):
        engine.free -= growth[(engine.steps + i) % size]
    engine.context += steps * decoding
    engine.steps += steps
    _launch(engine, seconds, but_last_s, steps * (flat_j + steps * slope_j))


@kernel
def _mixed_step(requests: Records, costs: Floats, engine: Engine, due: Ints, growth: Ints) -> int:
    """Run one step of any kind and return how many prefills it completes.

    With nothing to compute it waits for the step that runs. Preempting the newest until the rest
    have their blocks is what vLLM does one request after the other: it preempts if and only if the
    sum of what is still needed exceeds what is free.
    """
    preempted = False
    while True:
        needed = growth[engine.steps % engine.block_size]
        chunk = 0
        pairs = 0.0
        unfinished = 0
        if engine.partial != NOBODY:
            request: Request = requests[engine.partial]
            unfinished = request.input + request.generated - request.computed
            chunk = min(unfinished, engine.max_num_batched_tokens - engine.decoding)
            held = held_blocks(engine, request.computed)
            needed += held_blocks(engine, request.computed + chunk) - held
            pairs = chunk * (request.computed + 0.5 * chunk)
        if needed <= engine.free:
            break
        _preempt_newest(requests, engine, due, growth)
        preempted = True
    engine.free -= needed
    tokens = engine.decoding + chunk
    fresh = 0
    if engine.partial != NOBODY:
        request = requests[engine.partial]
        request.computed += chunk
        if chunk == unfinished:
            engine.partial = NOBODY
            fresh = 1
    room = engine.max_num_batched_tokens - tokens
    while not preempted and can_admit(requests, engine, room):
        chunk = admit(requests, engine, room)
        request = requests[engine.partial]
        pairs += chunk * (request.computed - 0.5 * chunk)
        tokens += chunk
        room -= chunk
        if request.computed == request.input + request.generated:
            engine.partial = NOBODY
            fresh += 1
    if tokens == 0:
        engine.clock = max(engine.clock, engine.end_s)
        return 0
    sequences = engine.decoding + fresh
    engine.context += engine.decoding
    seconds = stage_s(costs, tokens, sequences, pairs, float(engine.context))
    engine.steps += 1
    joules = stage_j(costs, tokens, sequences, pairs, float(engine.context))
    _launch(engine, seconds, 0.0, joules)
    return fresh


@kernel
def _launch(engine: Engine, seconds: float, but_last_s: float, joules: float) -> None:
    """Put steps on the GPUs: they take `seconds`, all but the last of them `but_last_s`."""
    start_s = max(engine.clock, engine.end_s)
    engine.end_s = start_s + seconds
    engine.clock = start_s + but_last_s if engine.ahead == 1 else engine.end_s
    engine.busy_s += seconds
    engine.joules += joules
    engine.least_free = min(engine.least_free, engine.free)
    engine.done_before = engine.done_last
    engine.done_last = NOBODY


@kernel
def _first_tokens(requests: Records, engine: Engine, due: Ints, growth: Ints, fresh: int) -> None:
    """Give a token to each of the prefills that the step completed: the newest but the partial."""
    index = engine.newest
    if index == engine.partial:
        index = requests[index].older
    for _ in range(fresh):
        request: Request = requests[index]
        older = request.older
        request.generated += 1
        if request.generated == 1:
            request.first_s = engine.end_s
        if request.generated == request.output:
            _complete(requests, engine, index)
        else:
            _join_decoding(requests, engine, due, growth, index)
        index = older


@kernel
def _complete(requests: Records, engine: Engine, index: int) -> None:
    """Note that the last token of a request comes at the end of the step just scheduled."""
    request: Request = requests[index]
    request.finish_s = engine.end_s
    request.next_done = engine.done_last
    engine.done_last = index


@kernel
def _join_decoding(requests: Records, engine: Engine, due: Ints, growth: Ints, index: int) -> None:
    request: Request = requests[index]
    request.origin = request.computed - engine.steps
    request.due = engine.steps + request.output - request.generated
    growth[-request.origin % engine.block_size] += 1
    engine.context += request.computed
    packed = request.due << 32 | index
    place = engine.decoding
    while place > 0 and due[place - 1] < packed:
        due[place] = due[place - 1]
        place -= 1
    due[place] = packed
    engine.decoding += 1


@kernel
def _leave_decoding(requests: Records, engine: Engine, due: Ints, growth: Ints, index: int) -> None:
    """Take a request out of the decoding set and bring its own record up to date."""
    request: Request = requests[index]
    request.computed = request.origin + engine.steps
    request.generated = request.output - (request.due - engine.steps)
    growth[-request.origin % engine.block_size] -= 1
    engine.context -= request.computed
    engine.decoding -= 1
    packed = request.due << 32 | index
    place = engine.decoding
    above = due[place]
    while above != packed:
        place -= 1
        due[place], above = above, due[place]


@kernel
def _preempt_newest(requests: Records, engine: Engine, due: Ints, growth: Ints) -> None:
    """Preempt the newest request that holds blocks, be it one whose last token is under way.

    That one does not come back; it is let go in its time.
    """
    index = engine.newest
    while requests[index].computed == 0:
        index = requests[index].older
    request: Request = requests[index]
    if request.finish_s < math.inf:
        free_blocks(engine, held_blocks(engine, request.computed))
        request.computed = 0
        engine.preemptions += 1
        return
    if index == engine.partial:
        engine.partial = NOBODY
    else:
        _leave_decoding(requests, engine, due, growth, index)
    preempt_running(requests, engine, index)
