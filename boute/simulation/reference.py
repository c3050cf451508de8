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
from boute.performance.step import CONTEXT_J, CONTEXT_S, PAIR_J, PAIR_S, step_fixed_j, step_fixed_s

__all__ = ["Batch", "Engine", "Request", "run_reference"]


@dataclass(eq=False)
class Request:
    """A request and what is known of it so far; times are absolute."""

    index: int
    arrival_s: float
    input: int
    output: int
    generated: int = 0
    computed: int = 0
    blocks: int = 0
    decoding: bool = False
    awaited: Batch | None = None
    start_s: float = math.inf
    first_s: float = math.inf
    finish_s: float = math.inf
    replica: int = -1

    @property
    def unfinished(self) -> int:
        """Tokens that are known and not in the KV cache."""
        return self.input + self.generated - self.computed


@dataclass(eq=False)
class Batch:
    """One step of an engine: when it was scheduled, what it held and when it returned."""

    start_s: float
    decodes: list[Request] = field(default_factory=list)
    prefills: list[tuple[Request, int]] = field(default_factory=list)
    sampled: list[Request] = field(default_factory=list)
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
        self.running: list[Request] = []
        self.waiting: deque[Request] = deque()
        self.in_flight: deque[Batch] = deque()
        self.batches: list[Batch] = []
        self.requests: list[Request] = []
        self.stage_free_s = [0.0] * replica.stages
        self.free = replica.kv_blocks
        self.clock = 0.0
        self.preemptions = 0
        self.joules = 0.0

    def ongoing(self, now_s: float) -> int:
        """Requests given to the engine that are not complete before `now_s`."""
        return sum(request.finish_s >= now_s for request in self.requests)

    def enqueue(self, request: Request) -> None:
        """Add an arriving request."""
        if not self.running and not self.waiting:
            self.clock = max(self.clock, request.arrival_s)
        self.requests.append(request)
        self.waiting.append(request)

    def advance(self, until_s: float) -> None:
        """Schedule every batch that is due before `until_s`."""
        while self.clock < until_s and (self.running or self.waiting):
            while len(self.in_flight) < self.replica.stages:
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
            if request.awaited is None:
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
            chunk = min(request.unfinished, budget)
            if len(self.running) == self.max_num_seqs or not self._allocate(request, chunk):
                break
            self.running.append(self.waiting.popleft())
            request.start_s = min(request.start_s, self.clock)
            self._put(batch, request, chunk)
            budget -= chunk
        return batch

    def _allocate(self, request: Request, chunk: int) -> bool:
        blocks = math.ceil((request.computed + chunk) / self.replica.block_size)
        if blocks - request.blocks > self.free:
            return False
        self.free -= blocks - request.blocks
        request.blocks = blocks
        return True

    def _release(self, request: Request) -> None:
        self.free += request.blocks
        request.blocks = 0
        request.computed = 0
        request.awaited = None
        request.decoding = False

    def _preempt(self, request: Request) -> None:
        self._release(request)
        self.waiting.appendleft(request)
        self.preemptions += 1

    def _put(self, batch: Batch, request: Request, chunk: int) -> None:
        if request.decoding:
            batch.decodes.append(request)
            batch.context += request.computed + 1
        else:
            batch.prefills.append((request, chunk))
            batch.pairs += chunk * (request.computed + chunk / 2)
        request.computed += chunk
        if request.unfinished == 0:
            request.awaited = batch
            batch.sampled.append(request)

    def _launch(self, batch: Batch) -> None:
        costs = self.replica.costs
        tokens, sequences = float(batch.tokens), float(len(batch.sampled))
        stage_s = step_fixed_s(costs, tokens, sequences)
        stage_s += costs[PAIR_S] * batch.pairs + costs[CONTEXT_S] * batch.context
        stage_j = step_fixed_j(costs, tokens, sequences)
        stage_j += costs[PAIR_J] * batch.pairs + costs[CONTEXT_J] * batch.context
        self.joules += self.replica.stages * float(stage_j)
        now_s = self.clock
        for stage, free_s in enumerate(self.stage_free_s):
            now_s = max(now_s, free_s) + float(stage_s)
            self.stage_free_s[stage] = now_s
            batch.stage_end_s.append(now_s)
        batch.stage_s = float(stage_s)
        batch.kv_blocks = self.replica.kv_blocks - self.free
        batch.waiting = len(self.waiting)
        self.in_flight.append(batch)
        self.batches.append(batch)

    def _collect(self, batch: Batch) -> None:
        self.clock = max(self.clock, batch.stage_end_s[-1])
        for request in batch.sampled:
            if request.awaited is not batch:
                continue  # preempted meanwhile
            request.awaited = None
            request.decoding = True
            request.generated += 1
            if request.generated == 1:
                request.first_s = self.clock
            if request.generated == request.output:
                request.finish_s = self.clock
                self._release(request)
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
