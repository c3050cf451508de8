"""An engine of several pipeline stages: as many batches in flight, each of other requests.

The loop is that of vLLM's batch queue: schedule batches until as many as there are stages are in
flight or nothing is left to schedule, then wait for the oldest. A request whose token is under way
is not scheduled again until its batch returns; the chunks of one prompt may follow each other.
Every batch takes the same time in each stage, and a stage takes one batch at a time. This is the
plain form, with work in proportion to the requests running; `boute.simulation.single` is the fast
one. One thing is simpler than in vLLM: a request preempted while its token is under way computes
that token again.
"""

from __future__ import annotations

from boute.compiled import kernel
from boute.simulation.state import (
    NOBODY,
    Engine,
    Floats,
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

__all__ = ["run_batches"]


@kernel
def run_batches(
    requests: Records, costs: Floats, engine: Engine, stage_free_s: Floats, batch_end_s: Floats
) -> None:
    """Schedule all batches that can be at the engine's clock, then wait for the oldest in flight.

    `stage_free_s` and `batch_end_s` are the engine's rows of those of `Pipelines`.
    """
    seconds = 1.0
    while engine.in_flight < engine.stages and seconds > 0.0:
        seconds = _schedule(requests, costs, engine)
        if seconds > 0.0:
            _launch(engine, stage_free_s, batch_end_s, seconds)
    if engine.in_flight > 0:
        _wait_for_oldest(requests, engine, batch_end_s)


@kernel
def _schedule(requests: Records, costs: Floats, engine: Engine) -> float:
    """Schedule one batch and return its seconds a stage; 0 when there is nothing to put in it."""
    batch = engine.steps + 1
    preemptions = engine.preemptions
    room = engine.max_num_batched_tokens
    sequences = 0
    pairs = 0.0
    context = 0.0
    index = engine.oldest if engine.running > 0 else NOBODY
    while index != NOBODY and room > 0:
        request: Request = requests[index]
        if request.batch == 0:
            unfinished = request.input + request.generated - request.computed
            chunk = min(unfinished, room)
            held = held_blocks(engine, request.computed)
            if not _make_room(
                requests, engine, index, held_blocks(engine, request.computed + chunk) - held
            ):
                break
            if index == engine.partial:
                pairs += chunk * (request.computed + 0.5 * chunk)
            else:
                context += request.computed + 1
            request.computed += chunk
            room -= chunk
            if chunk == unfinished:
                request.batch = batch
                sequences += 1
                if index == engine.partial:
                    engine.partial = NOBODY
        index = request.newer
    while engine.preemptions == preemptions and can_admit(requests, engine, room):
        chunk = admit(requests, engine, room)
        request = requests[engine.partial]
        pairs += chunk * (request.computed - 0.5 * chunk)
        room -= chunk
        if request.computed == request.input + request.generated:
            engine.partial = NOBODY
            request.batch = batch
            sequences += 1
    tokens = engine.max_num_batched_tokens - room
    if tokens == 0:
        return 0.0
    engine.least_free = min(engine.least_free, engine.free)
    engine.joules += engine.stages * stage_j(costs, tokens, sequences, pairs, context)
    return stage_s(costs, tokens, sequences, pairs, context)


@kernel
def _make_room(requests: Records, engine: Engine, index: int, needed: int) -> bool:
    """Take KV blocks for a request, preempting the newest as needed; False if that is itself."""
    while needed > engine.free:
        victim = engine.newest
        request: Request = requests[victim]
        request.batch = 0
        if victim == engine.partial:
            engine.partial = NOBODY
        preempt_running(requests, engine, victim)
        if victim == index:
            return False
    engine.free -= needed
    return True


@kernel
def _launch(engine: Engine, stage_free_s: Floats, batch_end_s: Floats, seconds: float) -> None:
    """Send a batch through the stages, each of which takes it when both are ready."""
    now_s = engine.clock
    for stage in range(engine.stages):
        now_s = max(now_s, stage_free_s[stage]) + seconds
        stage_free_s[stage] = now_s
    batch_end_s[engine.steps % engine.stages] = now_s
    engine.busy_s += now_s - max(engine.busy_until, engine.clock)
    engine.busy_until = now_s
    engine.steps += 1
    engine.in_flight += 1


@kernel
def _wait_for_oldest(requests: Records, engine: Engine, batch_end_s: Floats) -> None:
    """Move the clock to the return of the oldest batch in flight and hand out its tokens."""
    oldest = engine.steps - engine.in_flight
    engine.clock = max(engine.clock, batch_end_s[oldest % engine.stages])
    engine.in_flight -= 1
    engine.just_finished = 0
    index = engine.oldest if engine.running > 0 else NOBODY
    while index != NOBODY:
        request: Request = requests[index]
        newer = request.newer
        if request.batch == oldest + 1:
            request.batch = 0
            request.generated += 1
            if request.generated == 1:
                request.first_s = engine.clock
            if request.generated == request.output:
                request.finish_s = engine.clock
                free_blocks(engine, held_blocks(engine, request.computed))
                engine.just_finished += 1
                unlink_running(requests, engine, index)
        index = newer
