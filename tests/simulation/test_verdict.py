from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.performance.replica import Replica
from boute.simulation.pool import PoolRun, simulate_pool
from boute.simulation.verdict import judge_pool, pool_utilisation


def run_at(replica: Replica, rate_per_s: float, requests: int = 3000, seed: int = 0) -> PoolRun:
    random = np.random.default_rng(seed)
    arrival_s = np.cumsum(random.exponential(1.0 / rate_per_s, requests))
    input_tokens = random.integers(50, 800, requests)
    return simulate_pool(replica, 2, arrival_s, input_tokens, random.integers(20, 200, requests), 0)


def capacity_per_s(replica: Replica) -> float:
    """What the pool serves when it is never idle."""
    run = run_at(replica, 1e6)
    return len(run) / run.end_s


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stages", [1, 2])
def test_the_run_alone_tells_light_load_from_overload(
    replica_of: Callable[..., Replica], stages: int, seed: int
) -> None:
    replica = replica_of(stages=stages)
    capacity = capacity_per_s(replica)
    verdicts = {}
    for load in (0.3, 0.6, 1.2, 1.5, 3.0):
        run = run_at(replica, load * capacity, seed=seed)
        duration_s = float(run.arrival_s[-1])
        verdicts[load] = judge_pool(run, duration_s=duration_s, utilisation=0.5)
        offered = pool_utilisation(run, duration_s=duration_s, capacity_per_s=capacity)
        assert offered == pytest.approx(load, rel=0.1)
    assert verdicts == {
        0.3: "stable",
        0.6: "stable",
        1.2: "unstable",
        1.5: "unstable",
        3.0: "unstable",
    }


def test_utilisation_decides_near_saturation(replica_of: Callable[..., Replica]) -> None:
    run = run_at(replica_of(), 5.0)
    duration_s = float(run.arrival_s[-1])
    verdicts = [
        judge_pool(run, duration_s=duration_s, utilisation=value) for value in (0.8, 0.81, 1.0)
    ]
    assert verdicts == ["stable", "strained", "unstable"]


def test_preemptions_strain(replica_of: Callable[..., Replica]) -> None:
    replica = replica_of(kv_blocks=300)
    run = run_at(replica, 0.8 * capacity_per_s(replica))
    assert run.preemptions > 0.01 * len(run)
    assert judge_pool(run, duration_s=float(run.arrival_s[-1]), utilisation=0.5) == "strained"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("load", [0.5, 0.7, 0.9])
def test_long_waits_strain(constant_replica: Replica, load: float, seed: int) -> None:
    arrival_s = np.cumsum(np.random.default_rng(seed).exponential(0.010 / load, 5000))
    ones = np.ones(5000, np.int64)
    run = simulate_pool(constant_replica, 1, arrival_s, ones, ones, 0)
    assert judge_pool(run, duration_s=float(arrival_s[-1]), utilisation=0.5) == "strained"


def test_a_burst_that_drains_within_the_window_is_not_unstable(
    replica_of: Callable[..., Replica],
) -> None:
    arrival_s, tokens = np.zeros(500), np.full(500, 100)
    run = simulate_pool(replica_of(), 1, arrival_s, tokens, tokens, 0)
    assert judge_pool(run, duration_s=3600.0, utilisation=0.1) == "strained"
    assert judge_pool(run, duration_s=1.0, utilisation=0.1) == "unstable"


@pytest.mark.parametrize(("failing", "verdict"), [(0, "stable"), (1, "strained"), (50, "unstable")])
def test_requests_that_fail_count(
    replica_of: Callable[..., Replica], failing: int, verdict: str
) -> None:
    input_tokens = np.full(1000, 100)
    input_tokens[:failing] = 10**6
    arrival_s = np.arange(1000) * 0.5
    run = simulate_pool(replica_of(), 1, arrival_s, input_tokens, np.full(1000, 10), 0)
    assert judge_pool(run, duration_s=500.0, utilisation=0.1) == verdict


def test_an_empty_pool_is_stable_and_unused(replica_of: Callable[..., Replica]) -> None:
    nothing = np.zeros(0, np.int64)
    run = simulate_pool(replica_of(), 1, np.zeros(0), nothing, nothing, 0)
    assert judge_pool(run, duration_s=1.0, utilisation=0.0) == "stable"
    assert pool_utilisation(run, duration_s=1.0, capacity_per_s=0.0) == 0.0


def test_a_pool_without_capacity_is_infinitely_loaded(replica_of: Callable[..., Replica]) -> None:
    run = run_at(replica_of(), 1.0, requests=10)
    assert pool_utilisation(run, duration_s=10.0, capacity_per_s=0.0) == np.inf
