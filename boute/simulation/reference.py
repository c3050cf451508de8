"""The simulation once more, written plainly and slowly: the oracle of tests and of chrome traces.

One class runs any number of stages, step by step and request by request, with the scheduler's own
lists. It shares nothing with the compiled engines but the cost of a step. On the way it can note
each batch, which is what `boute.simulation.chrome` draws.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from boute.performance.replica import Replica
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

__all__ = ["Batch", "Engine", "Request", "run_reference"]


@dataclass(eq=False)
class Block:
    """A block of the KV cache and what it was last used for: known tokens of whom, and which."""

    owner: Request | None = None
    place: int = 0


@dataclass(eq=False)
class Request:
    """A request and what is known of it so far; times are absolute.

    `scheduled` answer tokens are in the batches so far, `generated` of them have returned.
    """

    index: int
    arrival_s: float
    input: int
    output: int
    scheduled: int = 0
    generated: int = 0
    computed: int = 0
    blocks: list[Block] = field(default_factory=list)
    decoding: bool = False
    start_s: float = math.inf
    first_s: float = math.inf
    finish_s: float = math.inf
    replica: int = -1
    preemptions: int = 0

    @property
    def unfinished(self) -> int:
        """Tokens that are known or under way, and not in the KV cache."""
        return self.input + self.scheduled - self.computed


@dataclass(eq=False)
class Batch:
    """One step of an engine: when it was scheduled, what it held and when it returned."""

    start_s: float
    decodes: list[Request] = field(default_factory=list)
    prefills: list[tuple[Request, int]] = field(default_factory=list)
    sampled: list[Request] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)  # how often each had been preempted
    pairs: float = 0.0
    context: float = 0.0
    stage_s: float = 0.0
    stage_end_s: list[float] = field(default_factory=list)
    kv_blocks: int = 0
    waiting: int = 0

    @property
    def tokens(self) -> int:
        """Tokens computed in the step."""
        return len(self.decodes) + sum(chunk for _, chunk in self.prefills)


class Engine:
    """One replica: vLLM V1's scheduler and its batch queue."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.max_num_seqs = min(replica.max_num_seqs, replica.max_num_batched_tokens)
        self.asynchronous = replica.async_scheduling and replica.stages == 1
        self.depth = 2 if self.asynchronous else replica.stages
        self.running: list[Request] = []
        self.waiting: deque[Request] = deque()
        self.in_flight: deque[Batch] = deque()
        self.batches: list[Batch] = []
        self.requests: list[Request] = []
        self.stage_free_s = [0.0] * replica.stages
        self.free = deque(Block() for _ in range(replica.kv_blocks))
        self.clock = 0.0
        self.preemptions = 0
        self.joules = 0.0

    def ongoing(self, now_s: float) -> int:
        """Requests given to the engine that are not complete before `now_s`."""
        return sum(request.finish_s >= now_s for request in self.requests)

    def enqueue(self, request: Request) -> None:
        """Add an arriving request."""
        if not self.running and not self.waiting and not self.in_flight:
            self.clock = max(self.clock, request.arrival_s)
        self.requests.append(request)
        self.waiting.append(request)

    def advance(self, until_s: float) -> None:
        """Schedule every batch that is due before `until_s`."""
        while self.clock < until_s and (self.running or self.waiting or self.in_flight):
            while len(self.in_flight) < self.depth:
                batch = self._schedule()
                if batch.tokens == 0:
                    break
                self._launch(batch)
            if self.in_flight:
                self._collect(self.in_flight.popleft())

    def _schedule(self) -> Batch:
        batch = Batch(self.clock)
        budget = self.replica.max_num_batched_tokens
        preemptions = self.preemptions
        place = 0
        while place < len(self.running) and budget > 0:
            request = self.running[place]
            if self._has_work(request):
                chunk = min(request.unfinished, budget)
                while place < len(self.running) and not self._allocate(request, chunk):
                    self._preempt(self.running.pop())
                if place == len(self.running):
                    break  # it was the newest itself
                self._put(batch, request, chunk)
                budget -= chunk
            place += 1
        while self.waiting and budget > 0 and self.preemptions == preemptions:
            request = self.waiting[0]
            if len(self.running) == self.max_num_seqs or not self._fits(request):
                break
            self._find_blocks(request)
            chunk = min(request.unfinished, budget)
            self._allocate(request, chunk)
            self.running.append(self.waiting.popleft())
            request.start_s = min(request.start_s, self.clock)
            self._put(batch, request, chunk)
            budget -= chunk
        return batch

    def _has_work(self, request: Request) -> bool:
        """Whether a running request can be in the next batch."""
        if self.asynchronous:
            return request.scheduled < request.output
        return request.scheduled == request.generated

    def _blocks_for(self, tokens: int) -> int:
        return math.ceil(tokens / self.replica.block_size)

    def _fits(self, request: Request) -> bool:
        """Whether all known tokens of a waiting request fit in the cache."""
        return self._blocks_for(request.input + request.scheduled) <= len(self.free)

    def _allocate(self, request: Request, chunk: int) -> bool:
        needed = self._blocks_for(request.computed + chunk) - len(request.blocks)
        if needed > len(self.free):
            return False
        for _ in range(needed):
            block = self.free.popleft()
            block.owner = None
            request.blocks.append(block)
        return True

    def _find_blocks(self, request: Request) -> None:
        """Take back what the cache still holds of a preempted request, but its last token."""
        if request.preemptions == 0:
            return
        left = {block.place: block for block in self.free if block.owner is request}
        most = (request.input + request.scheduled - 1) // self.replica.block_size
        while len(request.blocks) < most and len(request.blocks) in left:
            request.blocks.append(left[len(request.blocks)])
        for block in request.blocks:
            self.free.remove(block)
        request.computed = len(request.blocks) * self.replica.block_size

    def _release(self, request: Request, known: int) -> None:
        """Give all blocks back, the last first; the first `known` tokens may be found again."""
        for place, block in enumerate(request.blocks):
            block.place = place
            block.owner = request if (place + 1) * self.replica.block_size <= known else None
        self.free.extend(reversed(request.blocks))
        request.blocks = []
        request.computed = 0
        request.decoding = False

    def _preempt(self, request: Request) -> None:
        self._release(request, request.computed - (1 if self.asynchronous else 0))
        self.preemptions += 1
        request.preemptions += 1
        if not self.asynchronous:
            request.scheduled = request.generated  # what is under way will be computed again
        if request.scheduled < request.output:
            self.waiting.appendleft(request)

    def _put(self, batch: Batch, request: Request, chunk: int) -> None:
        if request.decoding:
            batch.decodes.append(request)
            batch.context += request.computed + 1
        else:
            batch.prefills.append((request, chunk))
            batch.pairs += chunk * (request.computed + chunk / 2)
        request.computed += chunk
        if request.unfinished == 0:
            request.scheduled += 1
            request.decoding = True
            batch.sampled.append(request)
            batch.turns.append(request.preemptions)

    def _launch(self, batch: Batch) -> None:
        costs = self.replica.costs
        tokens, sequences = float(batch.tokens), float(len(batch.sampled))
        stage_s = step_fixed_s(costs, tokens, sequences)
        stage_s += costs[PAIR_S] * batch.pairs + costs[CONTEXT_S] * batch.context
        if batch.prefills:
            stage_s += costs[MIXED_CONTEXT_S] * batch.context
        stage_j = step_fixed_j(costs, tokens, sequences)
        stage_j += costs[PAIR_J] * batch.pairs + costs[CONTEXT_J] * batch.context
        if batch.prefills:
            stage_j += costs[BUSY_W] * costs[MIXED_CONTEXT_S] * batch.context
        self.joules += self.replica.stages * float(stage_j)
        now_s = self.clock
        for stage, free_s in enumerate(self.stage_free_s):
            now_s = max(now_s, free_s) + float(stage_s)
            self.stage_free_s[stage] = now_s
            batch.stage_end_s.append(now_s)
        batch.stage_s = float(stage_s)
        batch.kv_blocks = self.replica.kv_blocks - len(self.free)
        batch.waiting = len(self.waiting)
        self.in_flight.append(batch)
        self.batches.append(batch)

    def _collect(self, batch: Batch) -> None:
        self.clock = max(self.clock, batch.stage_end_s[-1])
        for request, turn in zip(batch.sampled, batch.turns, strict=True):
            if request.preemptions > turn and not self.asynchronous:
                continue  # preempted meanwhile
            request.generated += 1
            if request.generated == 1:
                request.first_s = self.clock
            if request.generated == request.output:
                request.finish_s = self.clock
                self._release(request, 0)
                if request in self.running:
                    self.running.remove(request)


def run_reference(
    replica: Replica,
    replicas: int,
    candidates: Sequence[Sequence[int]],
    arrival_s: Sequence[float],
    input_tokens: Sequence[int],
    output_tokens: Sequence[int],
    *,
    max_batches: float = math.inf,
) -> tuple[list[Engine], list[Request]]:
    """Run requests that fit a replica, each on one of its two candidates [N, 2].

    Stop once `max_batches` were scheduled; what is unfinished then has infinite times. Return the
    engines, with their batches, and the requests in order.
    """
    engines = [Engine(replica) for _ in range(replicas)]
    requests: list[Request] = []
    for index, (arrival, pair) in enumerate(zip(arrival_s, candidates, strict=True)):
        for place in pair:
            engines[place].advance(arrival)
        first, second = (engines[place] for place in pair)
        choice = second if second.ongoing(arrival) < first.ongoing(arrival) else first
        request = Request(index, arrival, input_tokens[index], output_tokens[index])
        request.replica = engines.index(choice)
        requests.append(request)
        choice.enqueue(request)
        if sum(len(engine.batches) for engine in engines) >= max_batches:
            return engines, requests
    for engine in engines:
        engine.advance(math.inf)
    return engines, requests
