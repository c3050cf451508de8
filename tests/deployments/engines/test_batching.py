"""The scheduler of the simulated engine against the reference of the planner's simulator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.deployments.engines.batching import Batching, Sequence
from boute.deployments.engines.settings import Pace
from boute.performance import step
from boute.performance.replica import Replica
from boute.simulation.reference import run_reference

SHAPES = st.fixed_dictionaries(
    {
        "stages": st.integers(1, 3),
        "kv_blocks": st.integers(12, 60),
        "block_size": st.sampled_from([1, 4, 16]),
        "max_num_seqs": st.sampled_from([1, 3, 8, 64]),
        "max_num_batched_tokens": st.sampled_from([4, 16, 50, 400]),
        "async_scheduling": st.booleans(),
    }
)
# Every cost of a dense model is above 0.
COSTS = np.zeros(step.N_COSTS)
COSTS[step.FLOOR_S], COSTS[step.WEIGHT_S] = 2e-3, 6e-3
COSTS[step.TOKEN_S], COSTS[step.LINEAR_TOKEN_S] = 3e-5, 1e-6
COSTS[step.SEQUENCE_S], COSTS[step.PAIR_S], COSTS[step.CONTEXT_S] = 1.1e-5, 1.3e-9, 5.7e-8
COSTS[step.MIXED_CONTEXT_S] = 3.1e-8


def requests_of(pace: Pace, count: int, load: float, seed: int) -> list[tuple[float, int, int]]:
    """Arrival in seconds, input and output tokens of requests that fit and come in bunches."""
    random = np.random.default_rng(seed)
    capacity = pace.kv_blocks * pace.block_size
    gaps_s = random.exponential(1.0 / load, count) * (random.random(count) < 0.6)
    inputs = random.integers(1, max(2, capacity // 2), count)
    outputs = random.integers(1, max(2, capacity // 3), count)
    rows = zip(np.cumsum(gaps_s).tolist(), inputs.tolist(), outputs.tolist(), strict=True)
    return list(rows)


def run(
    batching: Batching[int], requests: list[tuple[float, int, int]]
) -> tuple[list[float], list[float]]:
    """First and last token of each request, each added before the step that follows its arrival."""
    waiting = [Sequence(index, *request) for index, request in enumerate(requests)]
    first_s, finish_s = [0.0] * len(requests), [0.0] * len(requests)

    def arrive(until_s: float) -> None:
        while waiting and waiting[0].arrival_s <= until_s:
            batching.add(waiting.pop(0))

    while True:
        end_s = batching.launch()
        if end_s is None:
            if not waiting:
                return first_s, finish_s
            end_s = waiting[0].arrival_s
            arrive(end_s)
            continue
        arrive(end_s)
        for sequence in batching.collect():
            if sequence.generated == 1:
                first_s[sequence.owner] = end_s
            if sequence.finished:
                finish_s[sequence.owner] = end_s


@given(SHAPES, st.integers(1, 40), st.sampled_from([2.0, 10.0, 60.0]), st.integers(0, 2**32))
def test_it_decides_as_the_reference_simulator(shape, count, load, seed):
    pace = Pace(costs=COSTS.tolist(), **shape)
    requests = requests_of(pace, count, load, seed)
    batching: Batching[int] = Batching(pace)
    first_s, finish_s = run(batching, requests)
    arrival_s, inputs, outputs = (list(column) for column in zip(*requests, strict=True))
    replica = Replica(costs=COSTS, gpus=1, idle_w=0.0, **shape)
    engines, plain = run_reference(replica, 1, [[0, 0]] * count, arrival_s, inputs, outputs)
    np.testing.assert_allclose(first_s, [request.first_s for request in plain], rtol=1e-9)
    np.testing.assert_allclose(finish_s, [request.finish_s for request in plain], rtol=1e-9)
    assert batching.preemptions == engines[0].preemptions
    assert batching.free_blocks == pace.kv_blocks
    assert not batching.running
    assert not batching.waiting


@given(SHAPES, st.integers(2, 30), st.integers(0, 2**32), st.data())
def test_what_is_removed_leaves_nothing_behind(shape, count, seed, data):
    pace = Pace(costs=COSTS.tolist(), **shape)
    batching: Batching[int] = Batching(pace)
    alive = [Sequence(i, *r) for i, r in enumerate(requests_of(pace, count, 1e6, seed))]
    for sequence in alive:
        batching.add(sequence)
    finished = 0
    while batching.launch() is not None:
        for sequence in batching.collect():
            if sequence.finished:
                finished += 1
                alive.remove(sequence)
        if alive and data.draw(st.booleans()):
            batching.remove(alive.pop(data.draw(st.integers(0, len(alive) - 1))))
            count -= 1
    assert finished == count
    assert batching.free_blocks == pace.kv_blocks
    assert not batching.running
    assert not batching.waiting


def test_what_can_never_be_finished_does_not_fit(pace_of: Callable[..., Pace]):
    batching: Batching[int] = Batching(pace_of(kv_blocks=10, block_size=16))
    # The last of 161 tokens is sampled and never cached.
    assert batching.fits(100, 61)
    assert not batching.fits(100, 62)


def test_a_sequence_waits_for_its_arrival(pace_of: Callable[..., Pace]):
    batching: Batching[int] = Batching(pace_of(step_s=0.1))
    batching.add(Sequence(0, 1.0, 10, 2))
    assert batching.launch() == pytest.approx(1.1001)
    batching.add(Sequence(1, 1.05, 10, 2))
    assert [sequence.owner for sequence in batching.collect()] == [0]
    batching.launch()
    assert [sequence.owner for sequence in batching.collect()] == [0, 1]
