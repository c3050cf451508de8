"""The compiled engines against the plain one, on everything they report."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.performance.replica import Replica
from boute.simulation.pool import draw_candidates, fits, simulate_pool
from boute.simulation.reference import Engine, Request, run_reference

REPLICAS = st.fixed_dictionaries(
    {
        "kv_blocks": st.integers(12, 60),
        "block_size": st.sampled_from([1, 4, 16]),
        "max_num_seqs": st.sampled_from([1, 3, 8, 64]),
        "max_num_batched_tokens": st.sampled_from([4, 16, 50, 400]),
        "async_scheduling": st.booleans(),
    }
)


def run_both(
    replica: Replica, replicas: int, requests: int, load: float, seed: int, *, late_s: float = 0.0
) -> tuple[object, list[Engine], list[Request]]:
    """Some requests that fit and arrive in bunches, through both simulators."""
    random = np.random.default_rng(seed)
    capacity = min(replica.kv_blocks * replica.block_size, 1000)
    input_tokens = random.integers(1, max(2, capacity // 2), requests)
    output_tokens = random.integers(1, max(2, capacity // 3), requests)
    assert fits(replica, input_tokens, output_tokens).all()
    gaps_s = random.exponential(1.0 / load, requests) * (random.random(requests) < 0.6)
    arrival_s = np.cumsum(gaps_s)
    ready_s = random.exponential(late_s, replicas).tolist()
    tokens = input_tokens, output_tokens
    run = simulate_pool(replica, replicas, arrival_s, *tokens, seed, ready_s=ready_s)
    dispatch = draw_candidates(arrival_s, replicas, seed, ready_s=ready_s)
    engines, plain = run_reference(
        replica,
        replicas,
        dispatch.candidates.tolist(),
        dispatch.at_s.tolist(),
        input_tokens.tolist(),
        output_tokens.tolist(),
    )
    np.testing.assert_allclose(run.finish_s, [r.finish_s for r in plain], rtol=1e-9)
    first_s = np.array([r.first_s for r in plain])
    np.testing.assert_allclose(arrival_s + run.ttft_s, first_s, rtol=1e-9)
    start_s = np.array([r.start_s for r in plain])
    np.testing.assert_allclose(arrival_s + run.queue_s, start_s, rtol=1e-9, atol=1e-12)
    assert run.replica.tolist() == [r.replica for r in plain]
    assert run.preemptions == sum(engine.preemptions for engine in engines)
    assert run.steps == sum(len(engine.batches) for engine in engines)
    np.testing.assert_allclose(run.dynamic_j, sum(e.joules for e in engines), rtol=1e-9)
    peak = max(batch.kv_blocks for engine in engines for batch in engine.batches)
    assert run.kv_peak == pytest.approx(peak / replica.kv_blocks)
    return run, engines, plain


@settings(max_examples=120, deadline=None)
@given(
    options=REPLICAS,
    stages=st.integers(1, 3),
    replicas=st.integers(1, 3),
    requests=st.integers(1, 60),
    load=st.sampled_from([2.0, 10.0, 60.0]),
    late_s=st.sampled_from([0.0, 0.0, 5.0]),
    seed=st.integers(0, 2**32),
)
def test_compiled_engines_agree_with_the_plain_one(
    replica_of: Callable[..., Replica],
    options: dict[str, int],
    stages: int,
    replicas: int,
    requests: int,
    load: float,
    late_s: float,
    seed: int,
) -> None:
    run_both(replica_of(stages=stages, **options), replicas, requests, load, seed, late_s=late_s)


@pytest.mark.parametrize(("stages", "ahead"), [(1, False), (1, True), (2, False), (3, False)])
def test_they_agree_where_requests_are_preempted_often(
    replica_of: Callable[..., Replica], stages: int, ahead: bool
) -> None:
    limits = {"kv_blocks": 40, "max_num_seqs": 16, "max_num_batched_tokens": 256}
    replica = replica_of(stages=stages, async_scheduling=ahead, **limits)
    _, engines, _ = run_both(replica, 2, 150, 40.0, seed=3)
    assert sum(engine.preemptions for engine in engines) > 20


def test_every_token_is_computed_once_where_nothing_is_preempted(
    replica_of: Callable[..., Replica],
) -> None:
    replica = replica_of(kv_blocks=2000, max_num_batched_tokens=64)
    _, engines, requests = run_both(replica, 1, 40, 2.0, seed=5)
    assert engines[0].preemptions == 0
    computed = sum(batch.tokens for batch in engines[0].batches)
    assert computed == sum(request.input + request.output - 1 for request in requests)
    assert all(batch.tokens <= 64 for batch in engines[0].batches)


def test_batches_in_flight_hold_different_requests(replica_of: Callable[..., Replica]) -> None:
    replica = replica_of(stages=3, max_num_seqs=8, max_num_batched_tokens=64, kv_blocks=60)
    _, engines, _ = run_both(replica, 1, 80, 60.0, seed=7)
    batches = engines[0].batches
    overlaps = 0
    for earlier, later in itertools.pairwise(batches):
        if later.start_s < earlier.stage_end_s[-1]:
            overlaps += 1
            assert not set(earlier.sampled) & set(later.decodes)
    assert overlaps > 10


def test_a_stage_holds_one_batch_at_a_time(replica_of: Callable[..., Replica]) -> None:
    _, engines, _ = run_both(replica_of(stages=3, kv_blocks=60), 1, 80, 60.0, seed=8)
    for earlier, later in itertools.pairwise(engines[0].batches):
        for before_s, after_s in zip(earlier.stage_end_s, later.stage_end_s, strict=True):
            assert after_s - later.stage_s >= before_s - 1e-12
