"""Plan and workload in, outcome out: the one function that every search calls.

Requests are routed by score, spread over the pools of their model, and run through the step-level
simulator. Pure: the same input gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boute.context import Context
from boute.files import write_text
from boute.migration import Migration
from boute.outcome import Latency, Outcome, PoolOutcome
from boute.plan.decision import Decision
from boute.routing.expected import expected_quality
from boute.running import (
    PERCENTILES,
    WORSE,
    build_pool_replica,
    offered_load,
    pool_loads,
    pool_ready,
    price_per_hour,
    routed,
    simulate,
    utilisation,
    with_request_time,
    within_limits,
)
from boute.simulation.chrome import chrome_trace
from boute.simulation.fleet import FleetRun, PoolLoad
from boute.simulation.verdict import judge_pool
from boute.statistics import percentiles
from boute.windowed import evaluate_windows, window_curves
from boute.workload.arrays import Floats, Ints, Workload

__all__ = [
    "build_pool_replica",
    "evaluate",
    "latency_curves",
    "offered_load",
    "run_fleet",
    "utilisation",
    "with_request_time",
    "within_limits",
    "write_chrome_trace",
]


@dataclass(frozen=True, eq=False)
class _Simulated:
    """A run and what it was made of: pools in the decision's order, output tokens [N]."""

    run: FleetRun
    loads: list[PoolLoad]
    output: Ints


def evaluate(decision: Decision, workload: Workload, context: Context) -> Outcome:
    """What a fleet does with a workload; raise InputError for a pool that cannot exist.

    A thinned workload is run window by window, and the outcome is that of the trace it stands for.
    """
    if workload.thinning is not None:
        return evaluate_windows(decision, workload, workload.thinning, context)
    simulated = _simulate(decision, workload, context)
    run, output = simulated.run, simulated.output
    served = ~run.failed
    pools = _pool_outcomes(decision, simulated, workload, context)
    tokens = max(int(output[served].sum()), 1)
    window_s = _window_s(run, workload)
    price = price_per_hour(decision, context)
    met = within_limits(run, context)
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
        verdict=max((pool.verdict for pool in pools), key=WORSE.index),
        pools=pools,
    )


def run_fleet(decision: Decision, workload: Workload, context: Context) -> FleetRun:
    """Simulate every request; raise InputError for a pool that cannot exist."""
    return _simulate(decision, workload, context).run


def _simulate(decision: Decision, workload: Workload, context: Context) -> _Simulated:
    loads = pool_loads(decision, context)
    assigned, output = routed(decision, workload)
    run = simulate(loads, workload, assigned, output, context.spec.workload.seed)
    return _Simulated(run, loads, output)


def latency_curves(
    decision: Decision, context: Context, quantiles: Sequence[float]
) -> dict[str, tuple[float, ...]]:
    """TTFT, TPOT and E2E in seconds at the quantiles, over the requests that have each."""
    workload = context.workload
    if workload.thinning is not None:
        return window_curves(decision, workload, workload.thinning, context, quantiles)
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
    for pool, mine in pools:
        trace = chrome_trace(
            pool.name,
            pool.replica,
            pool.replicas,
            workload.arrival_s[mine],
            workload.input_tokens[mine],
            simulated.output[mine],
            context.spec.workload.seed + 1,  # the seed that simulate_fleet gives the pool
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
        load = utilisation(pool_load, mine, output, workload)
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
                ready=pool_ready(pool, context),
            )
        )
    return found


def _window_s(run: FleetRun, workload: Workload) -> float:
    """From the first arrival to the end of the window, or of the work if that is later."""
    ends = [pool.end_s for pool in run.runs]
    return max(workload.duration_s, *ends)


def _latency(values: Floats) -> Latency:
    if len(values) == 0:
        return Latency(mean=0.0, p50=0.0, p90=0.0, p95=0.0, p99=0.0)
    p50, p90, p95, p99 = percentiles(values, PERCENTILES)
    return Latency(mean=float(values.mean()), p50=p50, p90=p90, p95=p95, p99=p99)
