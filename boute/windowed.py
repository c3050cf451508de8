"""The outcome of a thinned workload: its windows run one by one, and pooled by their weights.

Every window starts with an empty fleet; what its lead-in and its tail do is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boute.context import Context
from boute.migration import Migration
from boute.outcome import Latency, Outcome, PoolOutcome, Verdict
from boute.plan.decision import Decision
from boute.pooling import Counted, Ranked, errors, rates, shares
from boute.running import (
    WORSE,
    Routed,
    offered_loads,
    pool_loads,
    pool_ready,
    pool_times,
    price_per_hour,
    routed,
    simulate,
    within_limits,
)
from boute.simulation.fleet import FleetRun, PoolLoad
from boute.simulation.pool import PoolRun
from boute.simulation.verdict import judge_pool
from boute.workload.arrays import Floats, Ints, Workload
from boute.workload.windows import Thinning

__all__ = ["evaluate_windows", "window_curves"]

# Keeps the draws of one window apart from those of the next, which count up from the seed.
_SEEDS: Final = 1_000_003

# Waiting for the end of a step is no queue, and in a short window one request is a large share.
_NO_QUEUE: Final = 2


def evaluate_windows(
    decision: Decision, workload: Workload, thinning: Thinning, context: Context
) -> Outcome:
    """What a fleet does with the trace that a thinned workload stands for."""
    loads = pool_loads(decision, context)
    found = routed(decision, workload, context)
    runs = _run(loads, workload, thinning, found, context)
    counted = _counted(runs, thinning, found.output, context)
    offered = offered_loads(loads, workload, found, context)
    pools = _pool_outcomes(decision, loads, runs, offered, workload, context)
    price = price_per_hour(decision, context)
    ranked = {
        name: Ranked(values[has], counted.window[has])
        for name, values in counted.latency_s.items()
        for has in (counted.having(name),)
    }
    others = rates(counted, thinning, loads, price)
    weights = thinning.weights()
    quality = context.expected(decision.routing)
    return Outcome(
        requests=thinning.requests,
        failed=round(float(weights[counted.window[~counted.served]].sum())),
        duration_s=thinning.duration_s,
        quality=quality.mean,
        quality_low=quality.low,
        quality_high=quality.high,
        **{name: values.latency(weights) for name, values in ranked.items()},
        **{name: rate(weights) for name, rate in others.items()},
        utilisation=max(pool.utilisation for pool in pools),
        preemptions=sum(pool.preemptions for pool in pools),
        cost_per_hour=price,
        latency_error=max(load.replica.latency_error for load in loads),
        energy_error=max(load.replica.energy_error for load in loads),
        **Migration(context).metrics(decision),
        verdict=max((pool.verdict for pool in pools), key=WORSE.index),
        pools=pools,
        thinning_error=errors(ranked, others, thinning, context),
    )


def window_curves(
    decision: Decision,
    workload: Workload,
    thinning: Thinning,
    context: Context,
    quantiles: Sequence[float],
) -> dict[str, tuple[float, ...]]:
    """TTFT, TPOT and E2E in seconds at the quantiles, over the requests that have each."""
    loads = pool_loads(decision, context)
    found = routed(decision, workload, context)
    runs = _run(loads, workload, thinning, found, context)
    counted = _counted(runs, thinning, found.output, context)
    weights = thinning.weights()
    curves = {}
    for name in ("ttft", "tpot", "e2e"):
        has = counted.having(name)
        ranked = Ranked(counted.latency_s[name][has], counted.window[has])
        curves[name] = tuple(ranked.quantiles(weights, quantiles)) if has.any() else ()
    return curves


def _run(
    loads: list[PoolLoad],
    workload: Workload,
    thinning: Thinning,
    found: Routed,
    context: Context,
) -> list[FleetRun]:
    """The run of each window."""
    runs: list[FleetRun] = []
    for index, window in enumerate(thinning.windows):
        part = slice(window.first, window.last)
        seed = context.spec.workload.seed + index * _SEEDS
        alone = workload.stretch(part, window.starts_s, window.duration_s)
        runs.append(simulate(loads, alone, found.part(part), seed))
    return runs


def _counted(runs: list[FleetRun], thinning: Thinning, output: Ints, context: Context) -> Counted:
    def counted(values: Callable[[FleetRun], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate(
            [
                values(run)[window.counted - window.first : window.uncounted - window.first]
                for window, run in zip(thinning.windows, runs, strict=True)
            ]
        )

    sizes = [window.requests for window in thinning.windows]
    places = np.concatenate([np.arange(w.counted, w.uncounted) for w in thinning.windows])
    return Counted(
        window=np.repeat(np.arange(len(sizes)), sizes),
        output=output[places],
        served=~counted(lambda run: run.failed),
        met=counted(lambda run: within_limits(run, context)),
        latency_s={
            "ttft": counted(lambda run: run.ttft_s),
            "tpot": counted(lambda run: run.tpot_s),
            "e2e": counted(lambda run: run.e2e_s),
            "queue": counted(lambda run: run.queue_s),
        },
        runs=[run.runs for run in runs],
    )


def _pool_outcomes(
    decision: Decision,
    loads: list[PoolLoad],
    fleet: list[FleetRun],
    offered: list[float],
    workload: Workload,
    context: Context,
) -> list[PoolOutcome]:
    thinning = workload.thinning
    assert thinning is not None
    weights = thinning.weights()
    stands_for = shares(thinning, weights)
    found = []
    for place, (pool, load) in enumerate(zip(decision.pools, loads, strict=True)):
        runs = [run.runs[place] for run in fleet]
        latency, stood_for = _pool_latencies(place, load, fleet, workload, thinning)
        idle_j = pool.replicas * load.replica.idle_w * thinning.duration_s
        found.append(
            PoolOutcome(
                pool=pool.name,
                model=pool.model,
                gpu=pool.gpu,
                requests=stood_for,
                utilisation=offered[place],
                kv_peak=max(run.kv_peak for run in runs),
                preemptions=round(float(stands_for @ [run.preemptions for run in runs])),
                **latency,
                energy_j=idle_j + float(stands_for @ [run.dynamic_j for run in runs]),
                verdict=_verdict(runs, pool.replicas, thinning, offered[place]),
                ready=pool_ready(pool, context),
            )
        )
    return found


def _pool_latencies(
    place: int, load: PoolLoad, fleet: list[FleetRun], workload: Workload, thinning: Thinning
) -> tuple[dict[str, Latency], int]:
    """Latencies of the counted requests that a pool was asked, and how many they stand for."""
    times: dict[str, list[Floats]] = {"ttft": [], "tpot": [], "e2e": []}
    windows: dict[str, list[Ints]] = {name: [] for name in times}
    weights, stood_for = thinning.weights(), 0.0
    for number, (window, run) in enumerate(zip(thinning.windows, fleet, strict=True)):
        mine = run.members[place] + window.first
        output = workload.output_tokens[mine, load.model]
        counts = (mine >= window.counted) & (mine < window.uncounted)
        served = counts & ~run.runs[place].failed
        stood_for += float(weights[number]) * int(counts.sum())
        for name, values in pool_times(run.runs[place], load, output).items():
            own = values[served & (output > 1) if name == "tpot" else served]
            times[name].append(own)
            windows[name].append(np.full(len(own), number))
    found = {
        name: Ranked(np.concatenate(times[name]), np.concatenate(windows[name])).latency(weights)
        for name in times
    }
    return found, round(stood_for)


def _verdict(runs: list[PoolRun], replicas: int, thinning: Thinning, utilisation: float) -> Verdict:
    """The worst of any window, at the load of the busiest."""
    verdicts = []
    for window, run in zip(thinning.windows, runs, strict=True):
        is_queue = run.waiting_at_last_arrival > _NO_QUEUE * replicas
        judged = run if is_queue else replace(run, waiting_at_last_arrival=0)
        verdicts.append(judge_pool(judged, duration_s=window.duration_s, utilisation=utilisation))
    return max(verdicts, key=WORSE.index)
