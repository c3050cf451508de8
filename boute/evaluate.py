"""Plan and workload in, outcome out: the one function that every search calls.

Requests are routed by score, spread over the pools of their model, and run through the step-level
simulator. Pure: the same input gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boute.context import Context
from boute.files import write_text
from boute.migration import Migration
from boute.outcome import Latency, Outcome, PoolOutcome
from boute.plan.decision import Decision
from boute.running import (
    PERCENTILES,
    build_pool_replica,
    offered_load,
    pool_ready,
    pool_times,
    utilisation,
    with_request_time,
    within_limits,
)
from boute.simulated import Simulated, simulated
from boute.simulation.chrome import chrome_trace
from boute.simulation.fleet import FleetRun
from boute.statistics import percentiles
from boute.windowed import evaluate_windows, window_curves
from boute.workload.arrays import Floats, Workload

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


def evaluate(decision: Decision, workload: Workload, context: Context) -> Outcome:
    """What a fleet does with a workload; raise InputError for a pool that cannot exist.

    A thinned workload is run window by window, and the outcome is that of the trace it stands for.
    """
    if workload.thinning is not None:
        return evaluate_windows(decision, workload, workload.thinning, context)
    found = simulated(decision, workload, context)
    return Outcome(
        requests=len(workload),
        failed=int(found.run.failed.sum()),
        duration_s=workload.duration_s,
        quality=found.quality.mean,
        quality_low=found.quality.low,
        quality_high=found.quality.high,
        ttft=_latency(found.latency("ttft")),
        tpot=_latency(found.latency("tpot")),
        e2e=_latency(found.latency("e2e")),
        queue=_latency(found.latency("queue")),
        goodput_per_s=found.value("goodput_per_s"),
        slo_attainment=found.value("slo_attainment"),
        utilisation=found.utilisation,
        preemptions=sum(run.preemptions for run in found.run.runs),
        cost_per_hour=found.price_per_hour,
        cost_per_million_tokens=found.value("cost_per_million_tokens"),
        energy_j_per_token=found.value("energy_j_per_token"),
        latency_error=max(load.replica.latency_error for load in found.loads),
        energy_error=max(load.replica.energy_error for load in found.loads),
        **Migration(context).metrics(decision),
        verdict=found.verdict,
        pools=_pool_outcomes(found),
    )


def run_fleet(decision: Decision, workload: Workload, context: Context) -> FleetRun:
    """Simulate every request; raise InputError for a pool that cannot exist."""
    return simulated(decision, workload, context).run


def latency_curves(
    decision: Decision, context: Context, quantiles: Sequence[float]
) -> dict[str, tuple[float, ...]]:
    """TTFT, TPOT and E2E in seconds at the quantiles, over the requests that have each."""
    workload = context.workload
    if workload.thinning is not None:
        return window_curves(decision, workload, workload.thinning, context, quantiles)
    found = simulated(decision, workload, context)
    curves = {name: found.latency(name) for name in ("ttft", "tpot", "e2e")}
    return {
        name: tuple(map(float, np.quantile(values, quantiles))) if len(values) else ()
        for name, values in curves.items()
    }


def write_chrome_trace(decision: Decision, context: Context, path: Path) -> None:
    """Write the run of every pool as one Chrome trace; raise OutputError."""
    workload = context.workload
    found = simulated(decision, workload, context)
    events: list[dict[str, Any]] = []
    notes: dict[str, str] = {}
    process = 0
    pools = zip(found.loads, found.run.runs, found.run.members, strict=True)
    for pool, run, mine in pools:
        trace = chrome_trace(
            pool.name,
            pool.replica,
            pool.replicas,
            run.arrival_s,
            workload.input_tokens[mine],
            workload.output_tokens[mine, pool.model],
            context.spec.workload.seed + 1,  # the seed that simulate_fleet gives the pool
            ready_s=pool.ready_s,
            first_process=process,
        )
        events += trace["traceEvents"]
        notes[pool.name] = trace["otherData"]["note"]
        process += pool.replicas
    data = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": notes}
    write_text(path, json.dumps(data))


def _pool_outcomes(found: Simulated) -> list[PoolOutcome]:
    run, workload = found.run, found.workload
    of_pools = zip(
        found.decision.pools,
        found.loads,
        run.runs,
        run.members,
        found.utilisations,
        found.energies_j,
        found.verdicts,
        strict=True,
    )
    outcomes = []
    for pool, load, pool_run, mine, offered, energy_j, verdict in of_pools:
        served, output = ~pool_run.failed, workload.output_tokens[mine, load.model]
        times = pool_times(pool_run, load, output)
        outcomes.append(
            PoolOutcome(
                pool=pool.name,
                model=pool.model,
                gpu=pool.gpu,
                requests=len(mine),
                utilisation=offered,
                kv_peak=pool_run.kv_peak,
                preemptions=pool_run.preemptions,
                ttft=_latency(times["ttft"][served]),
                tpot=_latency(times["tpot"][served & (output > 1)]),
                e2e=_latency(times["e2e"][served]),
                energy_j=energy_j,
                verdict=verdict,
                ready=pool_ready(pool, found.context),
            )
        )
    return outcomes


def _latency(values: Floats) -> Latency:
    if len(values) == 0:
        return Latency(mean=0.0, p50=0.0, p90=0.0, p95=0.0, p99=0.0)
    p50, p90, p95, p99 = percentiles(values, PERCENTILES)
    return Latency(mean=float(values.mean()), p50=p50, p90=p90, p95=p95, p99=p99)
