"""Requests over the pools of a fleet, as the deployment spreads them.

The model of each request is decided before; here it is sent to one of that model's pools, drawn by
weight, and each pool is run. Times per request are put back in the order of the workload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from boute.performance.replica import Replica
from boute.simulation.pool import PoolRun, simulate_pool

__all__ = [
    "FleetRun",
    "PoolLoad",
    "choose_pools",
    "dealt",
    "simulate_fleet",
    "simulate_pools",
    "with_request_time",
]


@dataclass(frozen=True, eq=False)
class PoolLoad:
    """One pool: `replicas` of a replica, and its weight among the pools of the same model.

    `model` is the index that requests are assigned by. `ready_s` has the time from which each
    replica takes requests; empty, all do from the start.
    """

    name: str
    model: int
    replica: Replica
    replicas: int
    weight: float
    ready_s: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class FleetRun:
    """What became of N requests, in the order of the workload, and the run of each pool.

    `tpot_s` [N] is the mean time between tokens after the first; requests of one token have none
    and hold 0, so leave them out of statistics by `output_tokens > 1`. All times of a request in
    `failed` [N] are infinite. `pool` [N] is the index of the pool that took it; `runs` are in the
    order of the pools, and request i of `runs[p]` is `members[p][i]` of the workload.
    """

    ttft_s: NDArray[np.float64]
    tpot_s: NDArray[np.float64]
    e2e_s: NDArray[np.float64]
    queue_s: NDArray[np.float64]
    failed: NDArray[np.bool_]
    pool: NDArray[np.int64]
    runs: tuple[PoolRun, ...]
    members: tuple[NDArray[np.int64], ...]


def simulate_fleet(
    pools: Sequence[PoolLoad],
    *,
    arrival_s: NDArray[np.float64],
    input_tokens: NDArray[np.int64],
    output_tokens: NDArray[np.int64],
    model: NDArray[np.int64],
    seed: int,
) -> FleetRun:
    """Run N requests, `model` [N] being the index of the model each is routed to.

    `output_tokens` [N] are those of that model. The same seed gives the same bytes, and the same
    draw for a request whatever the pools are, so that plans are compared on equal luck: what a
    model's pools do is the same whatever the other models run on. Raise ValueError for a request
    whose model no pool of positive weight serves.
    """
    return simulate_pools(
        pools,
        arrival_s=arrival_s,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        pool=choose_pools(pools, model, seed),
        seed=seed,
    )


def simulate_pools(
    pools: Sequence[PoolLoad],
    *,
    arrival_s: NDArray[np.float64],
    input_tokens: NDArray[np.int64],
    output_tokens: NDArray[np.int64],
    pool: NDArray[np.int64],
    seed: int,
) -> FleetRun:
    """Run N requests whose pools [N] are known."""
    members = tuple(np.flatnonzero(pool == place) for place in range(len(pools)))
    runs = tuple(
        simulate_pool(
            load.replica,
            load.replicas,
            arrival_s[mine],
            input_tokens[mine],
            output_tokens[mine],
            seed + 1,
            ready_s=load.ready_s,
        )
        for load, mine in zip(pools, members, strict=True)
    )
    ttft_s, queue_s, finish_s = (np.full(len(pool), np.inf) for _ in range(3))
    failed = np.zeros(len(pool), dtype=np.bool_)
    for run, mine in zip(runs, members, strict=True):
        ttft_s[mine] = run.ttft_s
        queue_s[mine] = run.queue_s
        finish_s[mine] = run.finish_s
        failed[mine] = run.failed
    e2e_s = finish_s - arrival_s
    between = np.maximum(output_tokens - 1, 1)
    with np.errstate(invalid="ignore"):
        tpot_s = np.where(failed, np.inf, (e2e_s - ttft_s) / between)
    return FleetRun(
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        e2e_s=e2e_s,
        queue_s=queue_s,
        failed=failed,
        pool=pool,
        runs=runs,
        members=members,
    )


def with_request_time(run: FleetRun, pools: Sequence[PoolLoad]) -> FleetRun:
    """The run with what a request pays around its engine; the pools' runs keep engine time."""
    around_s = np.array([load.replica.request_s for load in pools])[run.pool]
    return replace(run, ttft_s=run.ttft_s + around_s, e2e_s=run.e2e_s + around_s)


def choose_pools(
    pools: Sequence[PoolLoad], model: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Index of a pool of each request's model [N], drawn by the weights."""
    draw = np.random.default_rng(seed).random(len(model))
    chosen = np.full(len(model), -1, dtype=np.int64)
    for which in np.unique(model):
        places = np.array([i for i, load in enumerate(pools) if load.model == which], np.int64)
        weights = np.array([pools[i].weight for i in places], np.float64)
        if weights.sum() <= 0:
            raise ValueError(f"no pool of positive weight serves model {which}")
        mine = model == which
        chosen[mine] = places[dealt(draw[mine], weights)]
    return chosen


def dealt(draw: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places [n] that draws [n] from [0, 1) fall on, in proportion to their weights."""
    edges = np.cumsum(weights) / weights.sum()
    # The last edge may round to just below 1.
    return np.minimum(np.searchsorted(edges, draw, side="right"), len(weights) - 1)
