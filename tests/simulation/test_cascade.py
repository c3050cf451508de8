from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from boute.performance.replica import Replica
from boute.simulation.cascade import draws_of_stage, simulate_cascade, stage_pools
from boute.simulation.fleet import PoolLoad, simulate_fleet, with_request_time
from boute.simulation.pool import simulate_pool

REQUESTS = 400


@pytest.fixture
def pools(replica_of: Callable[..., Replica]) -> list[PoolLoad]:
    small, large = replica_of(), replica_of(stages=2)
    return [
        PoolLoad("large", 2, large, 2, 1.0),
        PoolLoad("small-a", 0, small, 1, 3.0),
        PoolLoad("small-b", 0, small, 2, 1.0),
        PoolLoad("mid", 1, small, 2, 1.0),
    ]


@pytest.fixture
def workload() -> dict[str, Any]:
    random = np.random.default_rng(2)
    asked = np.ones((REQUESTS, 3), dtype=np.bool_)
    asked[:, 1] = random.random(REQUESTS) < 0.6
    asked[:, 2] = asked[:, 1] & (random.random(REQUESTS) < 0.5)
    return {
        "arrival_s": np.cumsum(random.exponential(0.2, REQUESTS)),
        "input_tokens": random.integers(1, 300, REQUESTS),
        "output_tokens": random.integers(1, 60, (REQUESTS, 3)),
        "asked": asked,
    }


def by_hand(pools: list[PoolLoad], workload: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Stage by stage with requests sent on one by one, in the order in which they come."""
    chosen = stage_pools(pools, workload["asked"], seed)
    at_s = {request: float(workload["arrival_s"][request]) for request in range(REQUESTS)}
    first_s = dict(at_s)
    between: dict[int, float] = dict.fromkeys(at_s, 0.0)
    for model in range(3):
        for place, load in enumerate(pools):
            if load.model != model:
                continue
            mine = [n for n in range(REQUESTS) if chosen[n, model] == place]
            mine.sort(key=lambda request: at_s[request])
            output = workload["output_tokens"][mine, model]
            run = simulate_pool(
                load.replica,
                load.replicas,
                np.array([at_s[request] for request in mine]),
                workload["input_tokens"][mine],
                output,
                seed + 1,
            )
            for index, request in enumerate(mine):
                around_s = load.replica.request_s
                began_s, length_s = at_s[request], run.finish_s[index] - run.arrival_s[index]
                streams = model == 2
                at_s[request] = began_s + length_s + around_s
                first = began_s + run.ttft_s[index] + around_s
                first_s[request] = first if streams else at_s[request]
                gap = (length_s - run.ttft_s[index]) / max(output[index] - 1, 1)
                between[request] = gap if streams else 0.0
    arrival_s = workload["arrival_s"]
    return {
        "ttft_s": np.array([first_s[n] for n in range(REQUESTS)]) - arrival_s,
        "tpot_s": np.array([between[n] for n in range(REQUESTS)]),
        "e2e_s": np.array([at_s[n] for n in range(REQUESTS)]) - arrival_s,
    }


def test_each_stage_begins_where_the_one_before_it_ends(
    pools: list[PoolLoad], workload: dict[str, Any]
) -> None:
    run = simulate_cascade(pools, **workload, streams=2, seed=4)
    for name, expected in by_hand(pools, workload, 4).items():
        np.testing.assert_allclose(getattr(run, name), expected, rtol=1e-9, atol=1e-9)
    assert not run.failed.any()
    assert (run.queue_s <= run.e2e_s).all()


def test_every_model_that_is_asked_runs_the_request(
    pools: list[PoolLoad], workload: dict[str, Any]
) -> None:
    run = simulate_cascade(pools, **workload, streams=2, seed=4)
    for model in range(3):
        own = [run.members[place] for place, load in enumerate(pools) if load.model == model]
        asked = np.flatnonzero(workload["asked"][:, model])
        assert sorted(np.concatenate(own)) == asked.tolist()
    last = 2 - workload["asked"][:, ::-1].argmax(axis=1)
    assert np.array_equal(np.array([load.model for load in pools])[run.pool], last)
    for pool_run, mine in zip(run.runs, run.members, strict=True):
        assert len(pool_run) == len(mine)


def test_a_cascade_of_one_model_is_a_fleet(pools: list[PoolLoad], workload: dict[str, Any]) -> None:
    alone = dict(workload, asked=np.tile([True, False, False], (REQUESTS, 1)))
    small = [load for load in pools if load.model == 0]
    run = simulate_cascade(small, **alone, streams=0, seed=9)
    fleet = simulate_fleet(
        small,
        arrival_s=workload["arrival_s"],
        input_tokens=workload["input_tokens"],
        output_tokens=workload["output_tokens"][:, 0],
        model=np.zeros(REQUESTS, np.int64),
        seed=9,
    )
    fleet = with_request_time(fleet, small)
    assert np.array_equal(run.e2e_s, fleet.e2e_s)
    assert np.array_equal(run.ttft_s, fleet.ttft_s)
    assert np.array_equal(run.tpot_s, fleet.tpot_s)
    assert np.array_equal(run.pool, fleet.pool)


def test_what_a_stage_cannot_hold_fails_and_goes_no_further(
    pools: list[PoolLoad], workload: dict[str, Any]
) -> None:
    lengths = workload["output_tokens"].copy()
    broken = np.flatnonzero(workload["asked"].all(axis=1))[:5]
    lengths[broken, 1] = 10**7
    run = simulate_cascade(pools, **(workload | {"output_tokens": lengths}), streams=2, seed=4)
    assert np.flatnonzero(run.failed).tolist() == broken.tolist()
    assert np.isinf(run.e2e_s[broken]).all()
    assert not np.isin(broken, run.members[0]).any()


def test_stages_draw_their_pools_apart(pools: list[PoolLoad], workload: dict[str, Any]) -> None:
    assert not np.array_equal(draws_of_stage(50, 3, 0), draws_of_stage(50, 3, 1))
    chosen = stage_pools(pools, workload["asked"], 3)
    assert np.array_equal(chosen >= 0, workload["asked"])


def test_a_model_without_a_pool_is_refused(pools: list[PoolLoad], workload: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="serves model 2"):
        stage_pools(pools[1:], workload["asked"], 0)
