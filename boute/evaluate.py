"""Plan and workload in, outcome out: the one function that every search calls.

Requests are routed by score, spread over the pools of their model, and run through the step-level
simulator. Pure: the same input gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boute.context import Context
from boute.errors import InputError
from boute.files import write_text
from boute.migration import Migration
from boute.outcome import Latency, Outcome, PoolOutcome, Ready, Verdict
from boute.performance.build import build_replica
from boute.performance.mix import lengths_of
from boute.performance.replica import Replica
from boute.performance.steady import capacity
from boute.plan.decision import Decision
from boute.plan.model import Pool
from boute.routing.expected import expected_quality
from boute.routing.thresholds import route
from boute.simulation.chrome import chrome_trace
from boute.simulation.fleet import FleetRun, PoolLoad, choose_pools, simulate_fleet
from boute.simulation.verdict import judge_pool, pool_utilisation
from boute.startup.shipped import replica_ready
from boute.workload.arrays import Floats, Ints, Workload

__all__ = ["evaluate", "latency_curves", "offered_load", "run_fleet", "write_chrome_trace"]

_WORSE: Final[tuple[Verdict, ...]] = ("stable", "strained", "unstable")
_PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0)


@dataclass(frozen=True, eq=False)
class _Simulated:
    """A run and what it was made of: pools in the decision's order, output tokens [N]."""

    run: FleetRun
    loads: list[PoolLoad]
    output: Ints


def evaluate(decision: Decision, workload: Workload, context: Context) -> Outcome:
    """What a fleet does with a workload; raise InputError for a pool that cannot exist."""
    simulated = _simulate(decision, workload, context)
    run, output = simulated.run, simulated.output
    served = ~run.failed
    pools = _pool_outcomes(decision, simulated, workload, context)
    tokens = max(int(output[served].sum()), 1)
    window_s = _window_s(run, workload)
    price = _price_per_hour(decision, context)
    met = _within_limits(run, context)
    quality = expected_quality(context.quality, context.score, decision.routing.thresholds)
    return Outcome(
        requests=len(workload),
        failed=int(run.failed.sum()),
        duration_s=workload.duration_s,
        quality=quality.mean,
        quality_low=quality.low,
        quality_high=quality.high,
        ttft=_latency(run.ttft_s[served]),
        tpot=_latency(run.tpot_s[served & (output > 1)]),
        e2e=_latency(run.e2e_s[served]),
        queue=_latency(run.queue_s[served]),
        goodput_per_s=float(met.sum() / window_s),
        slo_attainment=float(met.mean()),
        utilisation=max(pool.utilisation for pool in pools),
        preemptions=sum(pool.preemptions for pool in pools),
        cost_per_hour=price,
        cost_per_million_tokens=price / 3600.0 * window_s / tokens * 1e6,
        energy_j_per_token=sum(pool.energy_j for pool in pools) / tokens,
        latency_error=max(load.replica.latency_error for load in simulated.loads),
        energy_error=max(load.replica.energy_error for load in simulated.loads),
        **Migration(context).metrics(decision),
        verdict=max((pool.verdict for pool in pools), key=_WORSE.index),
        pools=pools,
    )


def run_fleet(decision: Decision, workload: Workload, context: Context) -> FleetRun:
    """Simulate every request; raise InputError for a pool that cannot exist."""
    return _simulate(decision, workload, context).run


def offered_load(decision: Decision, workload: Workload, context: Context) -> float:
    """Utilisation of the busiest pool, just as `evaluate` states it, without a simulation.

    From 1 on the plan is unstable, whatever else it does.
    """
    loads, assigned, output = _loads(decision, workload, context)
    pool = choose_pools(loads, assigned, context.spec.workload.seed)
    return max(
        _utilisation(load, np.flatnonzero(pool == place), output, workload)
        for place, load in enumerate(loads)
    )


def _loads(
    decision: Decision, workload: Workload, context: Context
) -> tuple[list[PoolLoad], Ints, Ints]:
    """The pools, and of each request the index of its model and its output tokens, [N] both."""
    loads = [
        PoolLoad(
            name=pool.name,
            model=decision.routing.models.index(pool.model),
            replica=build_pool_replica(pool, context),
            replicas=pool.replicas,
            weight=pool.weight,
        )
        for pool in decision.pools
    ]
    assigned = route(workload.score, decision.routing.thresholds)
    output: Ints = workload.output_tokens[np.arange(len(workload)), assigned]
    return loads, assigned, output


def _simulate(decision: Decision, workload: Workload, context: Context) -> _Simulated:
    loads, assigned, output = _loads(decision, workload, context)
    run = simulate_fleet(
        loads,
        arrival_s=workload.arrival_s,
        input_tokens=workload.input_tokens,
        output_tokens=output,
        model=assigned,
        seed=context.spec.workload.seed,
    )
    return _Simulated(_with_request_time(run, loads), loads, output)


def _with_request_time(run: FleetRun, loads: Sequence[PoolLoad]) -> FleetRun:
    """The run with what a request pays around its engine; the pools' runs keep engine time."""
    around_s = np.array([load.replica.request_s for load in loads])[run.pool]
    return replace(run, ttft_s=run.ttft_s + around_s, e2e_s=run.e2e_s + around_s)


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


def latency_curves(
    decision: Decision, context: Context, quantiles: Sequence[float]
) -> dict[str, tuple[float, ...]]:
    """TTFT, TPOT and E2E in seconds at the quantiles, over the requests that have each."""
    simulated = _simulate(decision, context.workload, context)
    run = simulated.run
    served = ~run.failed
    streamed = served & (simulated.output > 1)
    curves = {"ttft": run.ttft_s[served], "tpot": run.tpot_s[streamed], "e2e": run.e2e_s[served]}
    return {
        name: tuple(map(float, np.quantile(values, quantiles))) if len(values) else ()
        for name, values in curves.items()
    }


def write_chrome_trace(decision: Decision, context: Context, path: Path) -> None:
    """Write the run of every pool as one Chrome trace; raise OutputError."""
    workload = context.workload
    simulated = _simulate(decision, workload, context)
    events: list[dict[str, Any]] = []
    notes: dict[str, str] = {}
    process = 0
    pools = zip(simulated.loads, simulated.run.members, strict=True)
    for place, (pool, mine) in enumerate(pools):
        trace = chrome_trace(
            pool.name,
            pool.replica,
            pool.replicas,
            workload.arrival_s[mine],
            workload.input_tokens[mine],
            simulated.output[mine],
            context.spec.workload.seed + 1 + place,  # the seed that simulate_fleet gives the pool
            ready_s=pool.ready_s,
            first_process=process,
        )
        events += trace["traceEvents"]
        notes[pool.name] = trace["otherData"]["note"]
        process += pool.replicas
    data = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": notes}
    write_text(path, json.dumps(data))


def _pool_outcomes(
    decision: Decision, simulated: _Simulated, workload: Workload, context: Context
) -> list[PoolOutcome]:
    run, output = simulated.run, simulated.output
    window_s = _window_s(run, workload)
    found = []
    parts = zip(decision.pools, simulated.loads, run.runs, run.members, strict=True)
    for pool, pool_load, pool_run, mine in parts:
        replica = pool_load.replica
        load = _utilisation(pool_load, mine, output, workload)
        served = mine[~run.failed[mine]]
        found.append(
            PoolOutcome(
                pool=pool.name,
                model=pool.model,
                gpu=pool.gpu,
                requests=len(mine),
                utilisation=load,
                kv_peak=pool_run.kv_peak,
                preemptions=pool_run.preemptions,
                ttft=_latency(run.ttft_s[served]),
                tpot=_latency(run.tpot_s[served[output[served] > 1]]),
                e2e=_latency(run.e2e_s[served]),
                energy_j=pool.replicas * replica.idle_w * window_s + pool_run.dynamic_j,
                verdict=judge_pool(pool_run, duration_s=workload.duration_s, utilisation=load),
                ready=_ready(pool, context),
            )
        )
    return found


def _ready(pool: Pool, context: Context) -> Ready | None:
    member = context.member(pool.model)
    return replica_ready(
        member.card,
        context.supply(pool.gpu).card,
        tp=pool.tensor_parallel,
        pp=pool.pipeline_parallel,
        weights=member.choice.weights,
        max_num_seqs=context.spec.engine.max_num_seqs,
    )


def _utilisation(load: PoolLoad, mine: Ints, output: Ints, workload: Workload) -> float:
    """Of a pool that takes the requests `mine`, whose mix of lengths says what it carries."""
    if len(mine) == 0:
        return 0.0
    lengths = lengths_of(workload.input_tokens[mine], output[mine])
    carries = load.replicas * capacity(load.replica, lengths)
    return pool_utilisation(mine, duration_s=workload.duration_s, capacity_per_s=carries)


def _window_s(run: FleetRun, workload: Workload) -> float:
    """From the first arrival to the end of the window, or of the work if that is later."""
    ends = [pool.end_s for pool in run.runs]
    return max(workload.duration_s, *ends)


def _within_limits(run: FleetRun, context: Context) -> NDArray[np.bool_]:
    """Whether each request [N] meets every latency target; failed ones do not."""
    # A request of one token has no time between tokens, and holds 0 there.
    latencies = {"ttft": run.ttft_s, "tpot": run.tpot_s, "e2e": run.e2e_s}
    met = ~run.failed
    for latency, limit in context.spec.targets.request_limits().items():
        met &= latencies[latency] <= limit
    return met


def _price_per_hour(decision: Decision, context: Context) -> float:
    counts = decision.gpu_counts()
    return sum(context.supply(gpu).price_per_hour * count for gpu, count in counts.items())


def _latency(values: Floats) -> Latency:
    if len(values) == 0:
        return Latency(mean=0.0, p50=0.0, p90=0.0, p95=0.0, p99=0.0)
    p50, p90, p95, p99 = (float(value) for value in np.percentile(values, _PERCENTILES))
    return Latency(mean=float(values.mean()), p50=p50, p90=p90, p95=p95, p99=p99)
