from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.performance.replica import Replica
from boute.performance.step import CONTEXT_S, PAIR_S, step_fixed_s
from boute.simulation.pool import PoolRun, draw_candidates, simulate_pool
from boute.simulation.reference import run_reference

Workload = tuple[np.ndarray, np.ndarray, np.ndarray]


def poisson(requests: int, rate_per_s: float, seed: int) -> Workload:
    random = np.random.default_rng(seed)
    arrival_s = np.cumsum(random.exponential(1.0 / rate_per_s, requests))
    return arrival_s, random.integers(1, 800, requests), random.integers(1, 200, requests)


def test_no_requests(replica_of: Callable[..., Replica]) -> None:
    nothing = np.zeros(0, np.int64)
    run = simulate_pool(replica_of(), 2, np.zeros(0), nothing, nothing, 0)
    assert len(run) == 0
    assert (run.steps, run.preemptions, run.end_s, run.kv_peak) == (0, 0, 0.0, 0.0)
    assert run.busy_s.tolist() == [0.0, 0.0]


def test_one_request_takes_the_steps_it_needs(replica_of: Callable[..., Replica]) -> None:
    replica = replica_of(max_num_batched_tokens=100)
    run = simulate_pool(replica, 1, np.array([5.0]), np.array([250]), np.array([3]), 0)
    costs = replica.costs
    chunks = [(0, 100, 0), (100, 100, 0), (200, 50, 1)]
    prefill_s = sum(
        step_fixed_s(costs, float(chunk), float(sampled)) + costs[PAIR_S] * chunk * (at + chunk / 2)
        for at, chunk, sampled in chunks
    )
    decode_s = sum(step_fixed_s(costs, 1.0, 1.0) + costs[CONTEXT_S] * read for read in (251, 252))
    assert run.queue_s[0] == 0.0
    assert run.ttft_s[0] == pytest.approx(prefill_s, rel=1e-12)
    assert run.finish_s[0] == pytest.approx(5.0 + prefill_s + decode_s, rel=1e-12)
    assert run.steps == 5
    assert run.busy_s[0] == pytest.approx(prefill_s + decode_s, rel=1e-12)
    assert run.kv_peak == pytest.approx(16 / replica.kv_blocks)


def test_a_pipeline_takes_every_stage_for_each_token(replica_of: Callable[..., Replica]) -> None:
    replica = replica_of(stages=3)
    run = simulate_pool(replica, 1, np.array([0.0]), np.array([40]), np.array([1]), 0)
    stage_s = step_fixed_s(replica.costs, 40.0, 1.0) + replica.costs[PAIR_S] * 40 * 20
    assert run.ttft_s[0] == pytest.approx(3 * stage_s, rel=1e-12)


def test_a_step_scheduled_ahead_makes_the_next_arrival_wait_for_it(
    constant_replica: Replica,
) -> None:
    """Steps of 10 ms: who comes at 5 ms finds one that runs and, ahead, one that is scheduled."""
    tokens = np.array([1, 1]), np.array([10, 1])
    arrival_s = np.array([0.0, 0.005])
    replica = replace(constant_replica, max_num_seqs=2)
    first_s = {}
    for asynchronous in (False, True):
        ahead = replace(replica, async_scheduling=asynchronous)
        run = simulate_pool(ahead, 1, arrival_s, *tokens, 0)
        assert run.finish_s[0] == pytest.approx(0.100)
        first_s[asynchronous] = arrival_s[1] + run.ttft_s[1]
    assert first_s == {False: pytest.approx(0.020), True: pytest.approx(0.030)}


def test_ahead_a_place_is_free_one_step_late(constant_replica: Replica) -> None:
    ones = np.ones(3, np.int64)
    for asynchronous, finish_s in ((False, [0.01, 0.02, 0.03]), (True, [0.01, 0.02, 0.03])):
        replica = replace(constant_replica, async_scheduling=asynchronous)
        run = simulate_pool(replica, 1, np.zeros(3), ones, ones, 0)
        # With one place nothing can be ahead, and the engine waits for the step to end.
        np.testing.assert_allclose(run.finish_s, finish_s)
    two = replace(constant_replica, max_num_seqs=2, async_scheduling=True)
    run = simulate_pool(two, 1, np.zeros(3), ones, np.array([1, 5, 1]), 0)
    # The first is done at 10 ms; the step from 10 to 20 ms was scheduled while it held its place.
    np.testing.assert_allclose(run.finish_s, [0.01, 0.05, 0.03])


def test_a_prompt_waits_until_all_of_it_fits(replica_of: Callable[..., Replica]) -> None:
    replica = replica_of(kv_blocks=20, max_num_batched_tokens=64)
    tokens = np.array([160, 200]), np.array([30, 5])
    run = simulate_pool(replica, 1, np.array([0.0, 0.1]), *tokens, 0)
    assert run.preemptions == 0
    assert 0.1 + run.queue_s[1] == pytest.approx(run.finish_s[0])


def test_a_preempted_request_finds_what_is_left_of_its_blocks(
    replica_of: Callable[..., Replica],
) -> None:
    """19 blocks: at the 165th token of the first, the second gives way and loses one block."""
    replica = replica_of(kv_blocks=19)
    tokens = np.array([160, 128]), np.array([20, 100])
    engines, requests = run_reference(replica, 1, [[0, 0]] * 2, [0.0, 0.0], *map(list, tokens))
    run = simulate_pool(replica, 1, np.zeros(2), *tokens, 0)
    np.testing.assert_allclose(run.finish_s, [request.finish_s for request in requests], rtol=1e-9)
    assert run.preemptions > 0
    computed = sum(batch.tokens for batch in engines[0].batches)
    once = int(sum(tokens[0]) + sum(tokens[1]) - 2)
    assert 0 < computed - once < 2 * replica.block_size


@pytest.mark.parametrize("stages", [1, 2])
def test_requests_that_exceed_the_cache_fail_and_the_rest_go_on(
    replica_of: Callable[..., Replica], stages: int
) -> None:
    replica = replica_of(stages=stages, kv_blocks=10)
    arrival_s = np.array([0.0, 0.1, 0.2, 0.3])
    # 160 tokens are the capacity; the last token of an answer is never cached.
    run = simulate_pool(
        replica, 1, arrival_s, np.array([100, 151, 10_000, 1]), np.array([61, 11, 1, 161]), 0
    )
    assert run.failed.tolist() == [False, True, True, True]
    assert run.replica.tolist() == [0, -1, -1, -1]
    assert np.isfinite(run.finish_s).tolist() == [True, False, False, False]
    assert np.isinf(run.ttft_s[1:]).all()
    assert np.isinf(run.queue_s[1:]).all()
    assert run.end_s == run.finish_s[0]


def test_a_replica_without_cache_fails_everything(replica_of: Callable[..., Replica]) -> None:
    run = simulate_pool(replica_of(kv_blocks=0), 1, *poisson(5, 1.0, 0), 0)
    assert run.failed.all()
    assert run.end_s == run.arrival_s[-1]
    assert run.kv_peak == 0.0


@settings(max_examples=40, deadline=None)
@given(
    rate_per_s=st.sampled_from([1.0, 10.0, 100.0]),
    replicas=st.integers(1, 4),
    stages=st.integers(1, 2),
    kv_blocks=st.integers(70, 300),
    asynchronous=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_every_request_is_served_once_and_in_order(
    replica_of: Callable[..., Replica],
    rate_per_s: float,
    replicas: int,
    stages: int,
    kv_blocks: int,
    asynchronous: bool,
    seed: int,
) -> None:
    replica = replica_of(stages=stages, kv_blocks=kv_blocks, async_scheduling=asynchronous)
    arrival_s, input_tokens, output_tokens = poisson(120, rate_per_s, seed)
    run = simulate_pool(replica, replicas, arrival_s, input_tokens, output_tokens, seed)
    assert not run.failed.any()
    assert set(run.replica) <= set(range(replicas))
    assert np.isfinite(run.finish_s).all()
    assert (run.queue_s >= 0).all()
    assert (run.ttft_s > run.queue_s).all()
    e2e_s = run.finish_s - arrival_s
    assert ((e2e_s > run.ttft_s) == (output_tokens > 1)).all()
    # A token takes a step, and a step takes at least its floor.
    least_s = stages * step_fixed_s(replica.costs, 1.0, 1.0)
    assert (e2e_s - run.ttft_s >= (output_tokens - 1) * least_s * (1 - 1e-9)).all()
    assert 0 < run.kv_peak <= 1
    assert (run.busy_s <= run.end_s * (1 + 1e-9)).all()
    # First come, first served on each replica, for those that start at different times.
    for place in range(replicas):
        start_s = (arrival_s + run.queue_s)[run.replica == place]
        assert (np.diff(start_s) >= -1e-9).all()


@pytest.mark.parametrize("stages", [1, 2])
def test_waits_grow_with_the_rate(replica_of: Callable[..., Replica], stages: int) -> None:
    arrival_s, input_tokens, output_tokens = poisson(1500, 1.0, seed=11)
    waits = []
    for rate in (1.0, 4.0, 16.0, 64.0):
        run = simulate_pool(
            replica_of(stages=stages), 2, arrival_s / rate, input_tokens, output_tokens, 0
        )
        waits.append(((run.finish_s - run.arrival_s).mean(), run.queue_s.mean()))
    e2e_s, queue_s = np.array(waits).T
    assert (np.diff(e2e_s) > 0).all()
    assert (np.diff(queue_s) > 0).all()


@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.8])
def test_one_server_waits_as_pollaczek_and_khinchine_say(
    constant_replica: Replica, utilisation: float
) -> None:
    """M/D/1: the mean wait is rho / (2 (1 - rho)) service times."""
    requests, service_s = 200_000, 0.010
    random = np.random.default_rng(1)
    arrival_s = np.cumsum(random.exponential(service_s / utilisation, requests))
    ones = np.ones(requests, np.int64)
    run = simulate_pool(constant_replica, 1, arrival_s, ones, ones, 0)
    expected_s = service_s * utilisation / (2 * (1 - utilisation))
    assert run.queue_s.mean() == pytest.approx(expected_s, rel=0.03)
    assert run.busy_s[0] == pytest.approx(requests * service_s)


def test_two_choices_wait_less_than_a_random_replica(replica_of: Callable[..., Replica]) -> None:
    replica = replica_of(max_num_seqs=8)
    arrival_s, input_tokens, output_tokens = poisson(4000, 50.0, seed=2)
    both = simulate_pool(replica, 8, arrival_s, input_tokens, output_tokens, 0)
    place = np.random.default_rng(0).integers(8, size=4000)
    alone = [
        simulate_pool(
            replica,
            1,
            *(column[place == i] for column in (arrival_s, input_tokens, output_tokens)),
            0,
        )
        for i in range(8)
    ]
    assert both.queue_s.mean() < 0.5 * np.concatenate([run.queue_s for run in alone]).mean()


def test_candidates_are_two_different_replicas_evenly_drawn() -> None:
    candidates = draw_candidates(np.zeros(40_000), 4, seed=3).candidates
    assert (candidates[:, 0] != candidates[:, 1]).all()
    pairs = np.bincount(candidates[:, 0] * 4 + candidates[:, 1], minlength=16).reshape(4, 4)
    assert np.abs(pairs[~np.eye(4, dtype=bool)] / (40_000 / 12) - 1).max() < 0.1
    assert (draw_candidates(np.zeros(5), 1, seed=3).candidates == 0).all()


@given(
    ready_s=st.lists(st.floats(0.0, 10.0), min_size=1, max_size=5),
    rate_per_s=st.sampled_from([1.0, 10.0, 100.0]),
    asynchronous=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_a_replica_takes_nothing_before_it_is_ready(
    replica_of: Callable[..., Replica],
    ready_s: list[float],
    rate_per_s: float,
    asynchronous: bool,
    seed: int,
) -> None:
    replica = replica_of(async_scheduling=asynchronous)
    arrival_s, *tokens = poisson(60, rate_per_s, seed)
    run = simulate_pool(replica, len(ready_s), arrival_s, *tokens, seed, ready_s=ready_s)
    start_s = arrival_s + run.queue_s
    assert (start_s >= np.array(ready_s)[run.replica] - 1e-9).all()
    # Whoever comes before all of them is shared out when the first is ready, in order.
    early = arrival_s < min(ready_s)
    assert np.isin(run.replica[early], np.flatnonzero(np.array(ready_s) == min(ready_s))).all()
    known = draw_candidates(arrival_s, len(ready_s), seed, ready_s=ready_s)
    up = (np.array(ready_s) <= known.at_s[:, None]).sum(axis=1)
    assert ((known.candidates[:, 0] != known.candidates[:, 1]) == (up > 1)).all()


def test_one_late_replica_only_shifts_what_comes_before_it(
    replica_of: Callable[..., Replica],
) -> None:
    arrival_s, *tokens = poisson(50, 5.0, 3)
    late = simulate_pool(replica_of(), 1, arrival_s, *tokens, 0, ready_s=[4.0])
    shifted = simulate_pool(replica_of(), 1, np.maximum(arrival_s, 4.0), *tokens, 0)
    np.testing.assert_array_equal(late.finish_s, shifted.finish_s)
    np.testing.assert_allclose(late.ttft_s, shifted.ttft_s + np.maximum(4.0 - arrival_s, 0.0))


def test_ready_at_once_is_as_without(replica_of: Callable[..., Replica]) -> None:
    runs = [
        simulate_pool(replica_of(), 3, *poisson(100, 20.0, 1), 5, ready_s=ready_s)
        for ready_s in ((), (0.0, 0.0, 0.0))
    ]
    assert runs[0].finish_s.tobytes() == runs[1].finish_s.tobytes()


@pytest.mark.parametrize("ready_s", [(1.0,), (1.0, np.inf), (np.nan, 1.0)])
def test_a_time_to_ready_is_finite_and_one_a_replica(
    replica_of: Callable[..., Replica], ready_s: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="time to ready"):
        simulate_pool(replica_of(), 2, *poisson(5, 1.0, 0), 0, ready_s=ready_s)


@pytest.mark.parametrize("stages", [1, 2])
def test_the_same_seed_gives_the_same_bytes(
    replica_of: Callable[..., Replica], stages: int
) -> None:
    replica = replica_of(stages=stages, kv_blocks=80)
    runs = [simulate_pool(replica, 3, *poisson(300, 40.0, 4), seed) for seed in (9, 9, 10)]

    def content(run: PoolRun) -> list[bytes]:
        return [np.asarray(getattr(run, field.name)).tobytes() for field in fields(run)]

    assert content(runs[0]) == content(runs[1])
    assert content(runs[0]) != content(runs[2])


def test_waiting_at_the_last_arrival_counts_what_is_not_scheduled(
    constant_replica: Replica,
) -> None:
    ones = np.ones(4, np.int64)
    # 10 ms each: at 25 ms the third is being served; the fourth, just arrived, waits.
    arrival_s = np.array([0.0, 0.0, 0.0, 0.025])
    assert simulate_pool(constant_replica, 1, arrival_s, ones, ones, 0).waiting_at_last_arrival == 1


@pytest.mark.parametrize(
    ("arrival_s", "input_tokens", "replicas", "message"),
    [
        ([1.0, 0.5], [1, 1], 1, "ascend"),
        ([0.0, np.nan], [1, 1], 1, "finite"),
        ([0.0, 1.0], [0, 1], 1, "at least 1"),
        ([0.0], [1, 1], 1, "one length"),
        ([0.0, 1.0], [1, 1], 0, "one replica"),
    ],
)
def test_nonsense_is_refused(
    replica_of: Callable[..., Replica],
    arrival_s: list[float],
    input_tokens: list[int],
    replicas: int,
    message: str,
) -> None:
    output_tokens = np.ones(len(input_tokens), np.int64)
    with pytest.raises(ValueError, match=message):
        simulate_pool(
            replica_of(), replicas, np.array(arrival_s), np.array(input_tokens), output_tokens, 0
        )
