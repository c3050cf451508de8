"""Continuous batching in virtual time: which sequence gets its next token, and when.

The scheduler of the simulated engine. It decides as vLLM V1 does (running sequences first, chunked
prefill, blocks of KV cache, the newest preempted when blocks run out and its blocks found again
where they are left, one batch per pipeline stage or one ahead) and takes the duration of a step
from `boute.performance.step`. It never waits: whoever drives it sleeps until the times it names.
`boute.simulation.reference` is the same in one piece with its requests known in advance; here they
come and go, and tests hold the two to each other.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from boute.deployments.engines.settings import Pace
from boute.performance.step import CONTEXT_S, MIXED_CONTEXT_S, PAIR_S, step_fixed_s

__all__ = ["Batching", "Sequence"]

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Sequence(Generic[T]):
    """A prompt of `input` tokens that gets `output` tokens; `arrival_s` is absolute.

    `scheduled` of those are in the batches so far, `generated` have come. What a batch brings is
    for the `turn` in which it was scheduled. `kept` and `kept_from` are as in
    `boute.simulation.state`.
    """

    owner: T
    arrival_s: float
    input: int
    output: int
    scheduled: int = 0
    generated: int = 0
    computed: int = 0
    blocks: int = 0
    decoding: bool = False
    turn: int = 0
    kept: int = 0
    kept_from: int = 0

    @property
    def finished(self) -> bool:
        """Whether all its tokens are there."""
        return self.generated == self.output

    @property
    def unfinished(self) -> int:
        """Tokens that are known or under way, and not in the KV cache."""
        return self.input + self.scheduled - self.computed


@dataclass(eq=False, slots=True)
class _Batch(Generic[T]):
    """One step: what is computed in it and whose next token it samples."""

    tokens: int = 0
    pairs: float = 0.0
    context: float = 0.0
    end_s: float = 0.0
    sampled: list[tuple[Sequence[T], int]] = field(default_factory=list)


class Batching(Generic[T]):
    """The queue, the batches in flight and the KV cache of one replica."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._costs = np.array(pace.costs)
        self._ahead = 1 if pace.async_scheduling and pace.stages == 1 else 0
        self._max_num_seqs = min(pace.max_num_seqs, pace.max_num_batched_tokens)
        self._stage_free_s = [0.0] * pace.stages
        self._in_flight: deque[_Batch[T]] = deque()
        self._clock_s = 0.0
        self.running: list[Sequence[T]] = []
        self.waiting: deque[Sequence[T]] = deque()
        self.free_blocks = pace.kv_blocks
        self._given_back = pace.kv_blocks
        self.preemptions = 0

    def fits(self, input_tokens: int, output_tokens: int) -> bool:
        """Whether such a sequence could be finished if it were alone."""
        # The last token is sampled and never computed.
        needed = self._blocks_of(input_tokens + output_tokens - 1)
        return needed <= self._pace.kv_blocks

    def add(self, sequence: Sequence[T]) -> None:
        """Queue a sequence that fits and arrives no earlier than those before it."""
        self.waiting.append(sequence)

    def remove(self, sequence: Sequence[T]) -> None:
        """Forget a sequence, wherever it is; its blocks are free from the next batch on."""
        self._release(sequence)
        sequence.turn += 1
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)

    def launch(self) -> float | None:
        """Fill the pipeline; return when its oldest batch is done, or None if there is none."""
        if not self._in_flight and not self.running and self.waiting:
            self._clock_s = max(self._clock_s, self.waiting[0].arrival_s)
        while len(self._in_flight) < self._pace.stages + self._ahead:
            batch = self._schedule()
            if batch.tokens == 0:
                break
            self._enter(batch)
        return self._in_flight[0].end_s if self._in_flight else None

    def collect(self) -> list[Sequence[T]]:
        """End the oldest batch; return the sequences that got a token."""
        batch = self._in_flight.popleft()
        self._clock_s = max(self._clock_s, batch.end_s)
        # A sequence preempted or removed meanwhile awaits this batch no longer.
        grown = [sequence for sequence, turn in batch.sampled if sequence.turn == turn]
        for sequence in grown:
            sequence.generated += 1
            if sequence.finished:
                self._release(sequence)
                if sequence in self.running:
                    self.running.remove(sequence)
        return grown

    def _schedule(self) -> _Batch[T]:
        batch: _Batch[T] = _Batch()
        budget = self._pace.max_num_batched_tokens
        preemptions = self.preemptions
        place = 0
        while place < len(self.running) and budget > 0:
            sequence = self.running[place]
            if self._has_work(sequence):
                chunk = min(sequence.unfinished, budget)
                while place < len(self.running) and not self._allocate(sequence, chunk):
                    self._preempt(self.running.pop())
                if place == len(self.running):
                    break  # it was the newest itself
                self._put(batch, sequence, chunk)
                budget -= chunk
            place += 1
        while self.waiting and budget > 0 and self.preemptions == preemptions:
            sequence = self.waiting[0]
            if (
                sequence.arrival_s > self._clock_s
                or len(self.running) == self._max_num_seqs
                or self._blocks_of(sequence.unfinished) > self.free_blocks
            ):
                break
            self._find_blocks(sequence)
            chunk = min(sequence.unfinished, budget)
            self._allocate(sequence, chunk)
            self.running.append(self.waiting.popleft())
            self._put(batch, sequence, chunk)
            budget -= chunk
        return batch

    def _has_work(self, sequence: Sequence[T]) -> bool:
        if self._ahead:
            return sequence.scheduled < sequence.output
        return sequence.scheduled == sequence.generated

    def _put(self, batch: _Batch[T], sequence: Sequence[T], chunk: int) -> None:
        if sequence.decoding:
            batch.context += sequence.computed + 1
        else:
            batch.pairs += chunk * (sequence.computed + chunk / 2)
        batch.tokens += chunk
        sequence.computed += chunk
        if sequence.unfinished == 0:
            sequence.scheduled += 1
            sequence.decoding = True
            batch.sampled.append((sequence, sequence.turn))

    def _enter(self, batch: _Batch[T]) -> None:
        stage_s = step_fixed_s(self._costs, float(batch.tokens), float(len(batch.sampled)))
        stage_s += self._pace.costs[PAIR_S] * batch.pairs
        stage_s += self._pace.costs[CONTEXT_S] * batch.context
        if batch.pairs > 0:
            stage_s += self._pace.costs[MIXED_CONTEXT_S] * batch.context
        now_s = self._clock_s
        for stage, free_s in enumerate(self._stage_free_s):
            now_s = max(now_s, free_s) + stage_s
            self._stage_free_s[stage] = now_s
        batch.end_s = now_s
        self._in_flight.append(batch)

    def _blocks_of(self, tokens: int) -> int:
        return math.ceil(tokens / self._pace.block_size)

    def _allocate(self, sequence: Sequence[T], chunk: int) -> bool:
        further = self._blocks_of(sequence.computed + chunk) - sequence.blocks
        if further > self.free_blocks:
            return False
        self.free_blocks -= further
        sequence.blocks += further
        return True

    def _find_blocks(self, sequence: Sequence[T]) -> None:
        """Take back what the queue of free blocks still holds of it, its last token aside."""
        reused = max(0, self._given_back - self.free_blocks - sequence.kept_from)
        known = (sequence.unfinished - 1) // self._pace.block_size
        found = max(0, min(sequence.kept - reused, known))
        self.free_blocks -= found
        self._given_back -= found
        sequence.blocks = found
        sequence.computed = found * self._pace.block_size

    def _release(self, sequence: Sequence[T]) -> None:
        self.free_blocks += sequence.blocks
        self._given_back += sequence.blocks
        sequence.blocks = 0
        sequence.computed = 0
        sequence.decoding = False

    def _preempt(self, sequence: Sequence[T]) -> None:
        sequence.kept = (sequence.computed - self._ahead) // self._pace.block_size
        sequence.kept_from = self._given_back + sequence.blocks - sequence.kept
        self._release(sequence)
        self.preemptions += 1
        if not self._ahead:
            sequence.turn += 1
            sequence.scheduled = sequence.generated  # what is under way will be computed again
        if sequence.scheduled < sequence.output:
            self.waiting.appendleft(sequence)
