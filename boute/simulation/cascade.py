"""Requests over the models of a cascade, stage by stage.

A request that a model's answer does not settle arrives at the next model when that answer is whole.
Later stages never hold up earlier ones, so the pools of each model are run once, in order of cost,
and nothing is approximated. An answer that is checked reaches the client as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from boute.simulation.fleet import (
    FleetRun,
    PoolLoad,
    dealt,
    simulate_pools,
    with_request_time,
)
from boute.simulation.pool import PoolRun

__all__ = ["Stage", "draws_of_stage", "run_stage", "simulate_cascade", "stage_pools"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Stage(NamedTuple):
    """What became of the requests `mine` [n] that one model was asked, in order of arrival there.

    The times of `run` are from that arrival on, with what is paid around an engine.
    """

    mine: Ints
    run: FleetRun


def draws_of_stage(requests: int, seed: int, stage: int) -> Floats:
    """What decides which pool of a model takes each request [N].

    Those of the first stage are what a fleet without a cascade draws. Each later stage has its own,
    so that who came by one pool is not sent to one pool again.
    """
    return np.random.default_rng([seed, stage] if stage else seed).random(requests)


def stage_pools(pools: Sequence[PoolLoad], asked: Bools, seed: int) -> Ints:
    """Index of the pool that takes each request of each model [N, K]; -1 where it is not asked.

    Raise ValueError for a model that is asked and has no pool of positive weight.
    """
    chosen = np.full(asked.shape, -1, dtype=np.int64)
    for stage, model in enumerate(_models(pools, asked)):
        places = np.array([i for i, load in enumerate(pools) if load.model == model], np.int64)
        weights = np.array([pools[i].weight for i in places], np.float64)
        mine = asked[:, model]
        if weights.sum() <= 0 and mine.any():
            raise ValueError(f"no pool of positive weight serves model {model}")
        draws = draws_of_stage(len(asked), seed, stage)
        chosen[mine, model] = places[dealt(draws[mine], weights)] if mine.any() else -1
    return chosen


def simulate_cascade(
    pools: Sequence[PoolLoad],
    *,
    arrival_s: Floats,
    input_tokens: Ints,
    output_tokens: Ints,
    asked: Bools,
    streams: int,
    seed: int,
) -> FleetRun:
    """Run N requests over K models: `output_tokens` and `asked` are [N, K], columns by cost.

    The last model that a request is asked of answers it; answers of `streams` are not checked. TTFT
    is until the client sees anything, time per output token 0 for an answer that comes as a whole,
    the queue that of all stages. A request that a stage cannot hold fails. `pool` is whose answer
    is given; `members` have every request that a pool was asked.
    """
    requests, models = asked.shape
    chosen = stage_pools(pools, asked, seed)
    answers = models - 1 - asked[:, ::-1].argmax(axis=1)
    waited_s, ttft_s, tpot_s, queue_s = (np.zeros(requests) for _ in range(4))
    failed = np.zeros(requests, dtype=np.bool_)
    runs: dict[int, PoolRun] = {}
    members: dict[int, Ints] = {}
    for model in _models(pools, asked):
        places = [place for place, load in enumerate(pools) if load.model == model]
        stage = run_stage(
            [pools[place] for place in places],
            np.flatnonzero(asked[:, model] & ~failed),
            np.searchsorted(places, chosen[:, model]),
            arrival_s=arrival_s + waited_s,
            input_tokens=input_tokens,
            output_tokens=output_tokens[:, model],
            seed=seed,
        )
        mine, run = stage
        seen = run.ttft_s if model == streams else run.e2e_s
        ttft_s[mine] = waited_s[mine] + seen
        tpot_s[mine] = run.tpot_s if model == streams else 0.0
        queue_s[mine] += run.queue_s
        waited_s[mine] += run.e2e_s
        failed[mine] = run.failed
        for place, pool_run, own in zip(places, run.runs, run.members, strict=True):
            runs[place], members[place] = pool_run, mine[own]
    for times in (waited_s, ttft_s, tpot_s, queue_s):
        times[failed] = np.inf
    order = range(len(pools))
    return FleetRun(
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        e2e_s=waited_s,
        queue_s=queue_s,
        failed=failed,
        pool=chosen[np.arange(requests), answers],
        runs=tuple(runs[place] for place in order),
        members=tuple(members[place] for place in order),
    )


def run_stage(
    pools: Sequence[PoolLoad],
    mine: Ints,
    chosen: Ints,
    *,
    arrival_s: Floats,
    input_tokens: Ints,
    output_tokens: Ints,
    seed: int,
) -> Stage:
    """Run the requests `mine` of N on one model's pools; all other arrays are [N].

    `chosen` are indices into `pools`; `arrival_s`, in any order, is when each reaches the model.
    """
    mine = mine[np.argsort(arrival_s[mine], kind="stable")]
    run = simulate_pools(
        pools,
        arrival_s=arrival_s[mine],
        input_tokens=input_tokens[mine],
        output_tokens=output_tokens[mine],
        pool=chosen[mine],
        seed=seed,
    )
    return Stage(mine, with_request_time(run, pools))


def _models(pools: Sequence[PoolLoad], asked: Bools) -> list[int]:
    """The models with pools or requests, cheapest first."""
    served = {load.model for load in pools}
    return sorted(served | set(np.flatnonzero(asked.any(axis=0)).tolist()))
