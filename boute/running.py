"""A decision made ready to run: its pools built, its requests routed, what it is judged by.

What the evaluation of a whole workload and that of windows have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from boute.routing.policies.cascade import ladder
from boute.routing.policies.policy import Bools
from boute.simulation.cascade import simulate_cascade, stage_pools
from boute.simulation.fleet import (
    FleetRun,
    PoolLoad,
    choose_pools,
    simulate_fleet,
    with_request_time,
)
from boute.simulation.pool import PoolRun
from boute.simulation.verdict import pool_utilisation
from boute.startup.shipped import replica_ready
from boute.workload.arrays import Floats, Ints, Workload

__all__ = [
    "PERCENTILES",
    "WORSE",
    "Routed",
    "build_pool_replica",
    "offered_load",
    "offered_loads",
    "pool_loads",
    "pool_ready",
    "pool_times",
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


@dataclass(frozen=True, eq=False)
class Routed:
    """Whose answer each request is given, an index [N], and that answer's output tokens [N].

    Of a cascade also who is `asked` [N, K], and the one model whose answers are not checked.
    """

    answers: Ints
    output: Ints
    asked: Bools | None = None
    streams: int = 0

    def part(self, chosen: slice) -> Routed:
        """That of some of the requests."""
        asked = None if self.asked is None else self.asked[chosen]
        return Routed(self.answers[chosen], self.output[chosen], asked, self.streams)


def routed(decision: Decision, workload: Workload, context: Context) -> Routed:
    """What the routing of a decision does with each request; the context is the workload's."""
    routing = decision.routing
    answers = context.answers(routing)[workload.row]
    output: Ints = workload.output_tokens[np.arange(len(workload)), answers]
    if routing.policy != "cascade":
        return Routed(answers, output)
    asked = context.policy.asked(routing.setting)[workload.row]
    return Routed(answers, output, asked, ladder(routing.setting)[-1])


def simulate(loads: list[PoolLoad], workload: Workload, found: Routed, seed: int) -> FleetRun:
    """Run the requests; times are with what is paid around an engine, those of pools without."""
    if found.asked is not None:
        return simulate_cascade(
            loads,
            arrival_s=workload.arrival_s,
            input_tokens=workload.input_tokens,
            output_tokens=workload.output_tokens,
            asked=found.asked,
            streams=found.streams,
            seed=seed,
        )
    run = simulate_fleet(
        loads,
        arrival_s=workload.arrival_s,
        input_tokens=workload.input_tokens,
        output_tokens=found.output,
        model=found.answers,
        seed=seed,
    )
    return with_request_time(run, loads)


def pool_times(run: PoolRun, load: PoolLoad, output: Ints) -> dict[str, Floats]:
    """TTFT, TPOT and E2E in seconds of all requests that a pool was asked, `output` [n] tokens.

    From when they reached it, with what is paid around its engine.
    """
    e2e_s = run.finish_s - run.arrival_s
    with np.errstate(invalid="ignore"):
        tpot_s = np.where(run.failed, np.inf, (e2e_s - run.ttft_s) / np.maximum(output - 1, 1))
    around_s = load.replica.request_s
    return {"ttft": run.ttft_s + around_s, "tpot": tpot_s, "e2e": e2e_s + around_s}


def offered_load(decision: Decision, workload: Workload, context: Context) -> float:
    """Utilisation of the busiest pool, just as `evaluate` states it, without a simulation.

    From 1 on the plan is unstable, whatever else it does.
    """
    loads = pool_loads(decision, context)
    return max(offered_loads(loads, workload, routed(decision, workload, context), context))


def offered_loads(
    loads: list[PoolLoad], workload: Workload, found: Routed, context: Context
) -> list[float]:
    """Utilisation of each pool."""
    seed = context.spec.workload.seed
    if found.asked is not None:
        chosen = stage_pools(loads, found.asked, seed)
        mine = [np.flatnonzero(chosen[:, load.model] == i) for i, load in enumerate(loads)]
    else:
        pool = choose_pools(loads, found.answers, seed)
        mine = [np.flatnonzero(pool == place) for place in range(len(loads))]
    return [utilisation(load, own, workload) for load, own in zip(loads, mine, strict=True)]


def utilisation(load: PoolLoad, mine: Ints, workload: Workload) -> float:
    """Of a pool that takes the requests `mine`, whose mix of lengths says what it carries.

    At the rate of the busiest window where the workload is thinned.
    """
    if len(mine) == 0:
        return 0.0
    lengths = lengths_of(workload.input_tokens[mine], workload.output_tokens[mine, load.model])
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
