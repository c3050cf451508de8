"""A decision made ready to run: its pools built, its requests routed, what it is judged by.

What the evaluation of a whole workload and that of windows have in common.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.context import Context
from boute.errors import InputError
from boute.outcome import Ready, Verdict
from boute.performance.build import build_replica
from boute.performance.mix import lengths_of
from boute.performance.replica import Replica
from boute.performance.steady import capacity
from boute.plan.decision import Decision
from boute.plan.model import Pool
from boute.routing.thresholds import route
from boute.simulation.fleet import FleetRun, PoolLoad, choose_pools, simulate_fleet
from boute.simulation.verdict import pool_utilisation
from boute.startup.shipped import replica_ready
from boute.workload.arrays import Ints, Workload

__all__ = [
    "PERCENTILES",
    "WORSE",
    "build_pool_replica",
    "offered_load",
    "offered_loads",
    "pool_loads",
    "pool_ready",
    "price_per_hour",
    "routed",
    "simulate",
    "utilisation",
    "with_request_time",
    "within_limits",
]

WORSE: Final[tuple[Verdict, ...]] = ("stable", "strained", "unstable")
PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0)


def pool_loads(decision: Decision, context: Context) -> list[PoolLoad]:
    """The pools of a decision; raise InputError for one that cannot exist."""
    return [
        PoolLoad(
            name=pool.name,
            model=decision.routing.models.index(pool.model),
            replica=build_pool_replica(pool, context),
            replicas=pool.replicas,
            weight=pool.weight,
        )
        for pool in decision.pools
    ]


def routed(decision: Decision, workload: Workload) -> tuple[Ints, Ints]:
    """Of each request the index of its model and its output tokens, [N] both."""
    assigned = route(workload.score, decision.routing.thresholds)
    output: Ints = workload.output_tokens[np.arange(len(workload)), assigned]
    return assigned, output


def simulate(
    loads: list[PoolLoad], workload: Workload, assigned: Ints, output: Ints, seed: int
) -> FleetRun:
    """Run the requests; times are with what is paid around an engine, those of pools without."""
    run = simulate_fleet(
        loads,
        arrival_s=workload.arrival_s,
        input_tokens=workload.input_tokens,
        output_tokens=output,
        model=assigned,
        seed=seed,
    )
    return with_request_time(run, loads)


def with_request_time(run: FleetRun, loads: list[PoolLoad]) -> FleetRun:
    """The run with what a request pays around its engine; the pools' runs keep engine time."""
    around_s = np.array([load.replica.request_s for load in loads])[run.pool]
    return replace(run, ttft_s=run.ttft_s + around_s, e2e_s=run.e2e_s + around_s)


def offered_load(decision: Decision, workload: Workload, context: Context) -> float:
    """Utilisation of the busiest pool, just as `evaluate` states it, without a simulation.

    From 1 on the plan is unstable, whatever else it does.
    """
    loads = pool_loads(decision, context)
    assigned, output = routed(decision, workload)
    return max(offered_loads(loads, workload, assigned, output, context))


def offered_loads(
    loads: list[PoolLoad], workload: Workload, assigned: Ints, output: Ints, context: Context
) -> list[float]:
    """Utilisation of each pool."""
    pool = choose_pools(loads, assigned, context.spec.workload.seed)
    return [
        utilisation(load, np.flatnonzero(pool == place), output, workload)
        for place, load in enumerate(loads)
    ]


def utilisation(load: PoolLoad, mine: Ints, output: Ints, workload: Workload) -> float:
    """Of a pool that takes the requests `mine`, whose mix of lengths says what it carries.

    At the rate of the busiest window where the workload is thinned.
    """
    if len(mine) == 0:
        return 0.0
    lengths = lengths_of(workload.input_tokens[mine], output[mine])
    carries = load.replicas * capacity(load.replica, lengths)
    duration_s = workload.duration_s
    if workload.thinning is not None:
        duration_s = len(workload) / workload.peak_rate_per_s
    return pool_utilisation(mine, duration_s=duration_s, capacity_per_s=carries)


def build_pool_replica(pool: Pool, context: Context) -> Replica:
    """One replica of a pool; raise InputError when it does not fit."""
    member = context.member(pool.model)
    replica = build_replica(
        member.card,
        context.supply(pool.gpu).card,
        member.choice,
        context.spec.engine,
        tensor_parallel=pool.tensor_parallel,
        pipeline_parallel=pool.pipeline_parallel,
        max_model_len=context.max_model_len,
        measured=context.measured,
    )
    if isinstance(replica, str):
        raise InputError(
            f"pool {pool.name} {replica}", where="pools", mend="use more or larger GPUs a replica"
        )
    return replica


def pool_ready(pool: Pool, context: Context) -> Ready | None:
    """Time to ready of a replica of a pool; None where nothing is known."""
    member = context.member(pool.model)
    return replica_ready(
        member.card,
        context.supply(pool.gpu).card,
        tp=pool.tensor_parallel,
        pp=pool.pipeline_parallel,
        weights=member.choice.weights,
        max_num_seqs=context.spec.engine.max_num_seqs,
    )


def within_limits(run: FleetRun, context: Context) -> NDArray[np.bool_]:
    """Whether each request [N] meets every latency target; failed ones do not."""
    # A request of one token has no time between tokens, and holds 0 there.
    latencies = {"ttft": run.ttft_s, "tpot": run.tpot_s, "e2e": run.e2e_s}
    met = ~run.failed
    for latency, limit in context.spec.targets.request_limits().items():
        met &= latencies[latency] <= limit
    return met


def price_per_hour(decision: Decision, context: Context) -> float:
    """Dollars an hour of all GPUs."""
    counts = decision.gpu_counts()
    return sum(context.supply(gpu).price_per_hour * count for gpu, count in counts.items())
