from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.performance.replica import Replica
from boute.simulation.fleet import FleetRun, PoolLoad, simulate_fleet
from boute.simulation.pool import simulate_pool


@pytest.fixture
def workload() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    n = 3000
    return {
        "arrival_s": np.cumsum(random.exponential(0.05, n)),
        "input_tokens": random.integers(1, 500, n),
        "output_tokens": random.integers(1, 100, n),
        "model": (random.random(n) < 0.3).astype(np.int64),
    }


@pytest.fixture
def pools(replica_of: Callable[..., Replica]) -> list[PoolLoad]:
    small, large = replica_of(), replica_of(stages=2)
    return [
        PoolLoad("small-a", 0, small, 1, 3.0),
        PoolLoad("large", 1, large, 2, 1.0),
        PoolLoad("small-b", 0, small, 1, 1.0),
        PoolLoad("small-c", 0, small, 1, 0.0),
    ]


def test_requests_go_to_the_pools_of_their_model_by_weight(
    pools: list[PoolLoad], workload: dict[str, np.ndarray]
) -> None:
    fleet = simulate_fleet(pools, **workload, seed=4)
    assert np.array_equal(fleet.pool == 1, workload["model"] == 1)
    small = np.bincount(fleet.pool, minlength=4)[[0, 2, 3]]
    assert small[0] / small.sum() == pytest.approx(0.75, abs=0.03)
    assert small[2] == 0
    assert sorted(np.concatenate(fleet.members)) == list(range(3000))


def test_each_pool_runs_alone_and_times_return_in_order(
    pools: list[PoolLoad], workload: dict[str, np.ndarray]
) -> None:
    fleet = simulate_fleet(pools, **workload, seed=4)
    mine = fleet.members[0]
    alone = simulate_pool(
        pools[0].replica,
        1,
        workload["arrival_s"][mine],
        workload["input_tokens"][mine],
        workload["output_tokens"][mine],
        4 + 1,
    )
    assert np.array_equal(fleet.ttft_s[mine], alone.ttft_s)
    assert np.array_equal(fleet.e2e_s[mine], alone.finish_s - alone.arrival_s)
    assert np.array_equal(fleet.queue_s[mine], alone.queue_s)
    between = workload["output_tokens"] - 1
    np.testing.assert_allclose(fleet.ttft_s + fleet.tpot_s * between, fleet.e2e_s)
    assert (fleet.tpot_s[between == 0] == 0).all()
    assert len(fleet.runs[3]) == 0


def test_failed_requests_have_infinite_times(
    replica_of: Callable[..., Replica], workload: dict[str, np.ndarray]
) -> None:
    pools = [PoolLoad("tight", model, replica_of(kv_blocks=20), 1, 1.0) for model in (0, 1)]
    fleet = simulate_fleet(pools, **workload, seed=0)
    total = workload["input_tokens"] + workload["output_tokens"]
    assert np.array_equal(fleet.failed, total - 1 > 320)
    for times_s in (fleet.ttft_s, fleet.tpot_s, fleet.e2e_s, fleet.queue_s):
        assert np.array_equal(np.isinf(times_s), fleet.failed)


def test_a_request_draws_the_same_whatever_the_other_pools(
    pools: list[PoolLoad], workload: dict[str, np.ndarray]
) -> None:
    def chosen(weight: float) -> FleetRun:
        changed = PoolLoad("small-b", 0, pools[2].replica, 1, weight)
        return simulate_fleet([pools[0], pools[1], changed], **workload, seed=4)

    before, after = chosen(1.0), chosen(2.0)
    assert ((before.pool == 2) <= (after.pool == 2)).all()


def test_a_model_without_a_pool_is_refused(
    pools: list[PoolLoad], workload: dict[str, np.ndarray]
) -> None:
    with pytest.raises(ValueError, match="model 1"):
        simulate_fleet([pools[0], pools[2]], **workload, seed=0)
    with pytest.raises(ValueError, match="model 0"):
        simulate_fleet([pools[1], pools[3]], **workload, seed=0)
