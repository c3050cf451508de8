"""The outcome of a thinned workload: its windows run one by one, and pooled by their weights.

Every window starts with an empty fleet. What its lead-in and its tail do is not counted. Means,
shares and percentiles are over the counted requests, each as often as it stands for; the error of
thinning is their spread over the half-samples of the windows (`boute.workload.windows`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boute.context import Context
from boute.metrics import METRICS, STATISTICS
from boute.outcome import Latency, Outcome, PoolOutcome, Verdict
from boute.plan.decision import Decision
from boute.routing.expected import expected_quality
from boute.running import (
    PERCENTILES,
    WORSE,
    offered_loads,
    pool_loads,
    pool_ready,
    price_per_hour,
    routed,
    simulate,
    within_limits,
)
from boute.simulation.fleet import FleetRun, PoolLoad
from boute.simulation.pool import PoolRun
from boute.simulation.verdict import judge_pool
from boute.workload.arrays import Floats, Ints, Workload
from boute.workload.windows import STRATA, Thinning, Window

__all__ = ["evaluate_windows", "window_curves"]

# Student's t at 97.5% with as many degrees of freedom as there are strata.
_T_95: Final = {6: 2.447}[STRATA]

# Keeps the draws of one window apart from those of the next, which count up from the seed.
_SEEDS: Final = 1_000_003


@dataclass(frozen=True, eq=False)
class _Counted:
    """The counted requests of all windows, n of them; `window` [n] and `pool` [n] are indices.

    `latency_s` are by name, [n] each; `streamed` [n] have a time per output token. `runs` are those
    of the pools, window by window.
    """

    window: Ints
    pool: Ints
    output: Ints
    served: NDArray[np.bool_]
    met: NDArray[np.bool_]
    latency_s: dict[str, Floats]
    runs: list[tuple[PoolRun, ...]]

    @property
    def streamed(self) -> NDArray[np.bool_]:
        """Requests that were served and have more than one token."""
        return self.served & (self.output > 1)

    def having(self, latency: str) -> NDArray[np.bool_]:
        """Requests that have a latency."""
        return self.streamed if latency == "tpot" else self.served


class _Ranked:
    """Values [n], and the window of each [n], ready for percentiles under many weights."""

    def __init__(self, values: Floats, window: Ints) -> None:
        order = np.argsort(values, kind="stable")
        self._values, self._window = values[order], window[order]

    def mean(self, weights: Floats) -> float:
        """Weighted mean under the weights of the windows [W]; 0 of nothing."""
        weight = weights[self._window]
        total = float(weight.sum())
        return float(self._values @ weight) / total if total > 0.0 else 0.0

    def quantiles(self, weights: Floats, at: Sequence[float]) -> list[float]:
        """The least values that at least these shares of the weight do not exceed; 0 of nothing."""
        reached = np.cumsum(weights[self._window])
        if not len(reached) or reached[-1] <= 0.0:
            return [0.0] * len(at)
        places = np.searchsorted(reached, np.asarray(at) * reached[-1] * (1.0 - 1e-12))
        return [float(value) for value in self._values[np.minimum(places, len(reached) - 1)]]

    def latency(self, weights: Floats) -> Latency:
        """Mean and percentiles."""
        p50, p90, p95, p99 = self.quantiles(weights, [p / 100.0 for p in PERCENTILES])
        return Latency(mean=self.mean(weights), p50=p50, p90=p90, p95=p95, p99=p99)


def evaluate_windows(
    decision: Decision, workload: Workload, thinning: Thinning, context: Context
) -> Outcome:
    """What a fleet does with the trace that a thinned workload stands for."""
    loads = pool_loads(decision, context)
    assigned, output = routed(decision, workload)
    counted = _run(loads, workload, thinning, assigned, output, context)
    offered = offered_loads(loads, workload, assigned, output, context)
    pools = _pool_outcomes(decision, loads, counted, offered, thinning, context)
    price = price_per_hour(decision, context)
    ranked = {
        name: _Ranked(values[has], counted.window[has])
        for name, values in counted.latency_s.items()
        for has in (counted.having(name),)
    }
    rates = _rates(counted, thinning, loads, price)
    weights = thinning.weights()
    quality = expected_quality(context.quality, context.score, decision.routing.thresholds)
    return Outcome(
        requests=thinning.requests,
        failed=round(float(weights[counted.window[~counted.served]].sum())),
        duration_s=thinning.duration_s,
        quality=quality.mean,
        quality_low=quality.low,
        quality_high=quality.high,
        **{name: values.latency(weights) for name, values in ranked.items()},
        **{name: rate(weights) for name, rate in rates.items()},
        utilisation=max(pool.utilisation for pool in pools),
        preemptions=sum(pool.preemptions for pool in pools),
        cost_per_hour=price,
        latency_error=max(load.replica.latency_error for load in loads),
        energy_error=max(load.replica.energy_error for load in loads),
        verdict=max((pool.verdict for pool in pools), key=WORSE.index),
        pools=pools,
        thinning_error=_errors(ranked, rates, thinning, context),
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
    counted = _run(loads, workload, thinning, *routed(decision, workload), context)
    weights = thinning.weights()
    found = {}
    for name in ("ttft", "tpot", "e2e"):
        has = counted.having(name)
        ranked = _Ranked(counted.latency_s[name][has], counted.window[has])
        found[name] = tuple(ranked.quantiles(weights, quantiles)) if has.any() else ()
    return found


def _run(
    loads: list[PoolLoad],
    workload: Workload,
    thinning: Thinning,
    assigned: Ints,
    output: Ints,
    context: Context,
) -> _Counted:
    runs: list[FleetRun] = []
    for index, window in enumerate(thinning.windows):
        part = slice(window.first, window.last)
        seed = context.spec.workload.seed + index * _SEEDS
        runs.append(
            simulate(loads, _window_of(workload, window), assigned[part], output[part], seed)
        )

    def counted(values: Callable[[FleetRun], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate(
            [
                values(run)[window.counted - window.first : window.uncounted - window.first]
                for window, run in zip(thinning.windows, runs, strict=True)
            ]
        )

    sizes = [window.requests for window in thinning.windows]
    places = np.concatenate([np.arange(w.counted, w.uncounted) for w in thinning.windows])
    return _Counted(
        window=np.repeat(np.arange(len(sizes)), sizes),
        pool=counted(lambda run: run.pool),
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


def _window_of(workload: Workload, window: Window) -> Workload:
    part = slice(window.first, window.last)
    return replace(
        workload,
        arrival_s=np.maximum(workload.arrival_s[part] - window.starts_s, 0.0),
        input_tokens=workload.input_tokens[part],
        output_tokens=workload.output_tokens[part],
        score=workload.score[part],
        row=workload.row[part],
        duration_s=window.duration_s,
        thinning=None,
    )


def _shares(thinning: Thinning, weights: Floats) -> Floats:
    """How often the whole of each window [W] stands for its like, lead-in and tail included."""
    whole = np.array([window.last - window.first for window in thinning.windows])
    counted = np.array([window.requests for window in thinning.windows])
    return np.asarray(weights * counted / np.maximum(whole, 1))


def _rates(
    counted: _Counted, thinning: Thinning, loads: list[PoolLoad], price: float
) -> dict[str, Callable[[Floats], float]]:
    """What is no latency, each as a function of the weights of the windows [W]."""
    size = len(thinning.windows)
    met = np.bincount(counted.window[counted.met], minlength=size)
    requests = np.bincount(counted.window, minlength=size)
    served = counted.served
    tokens = np.bincount(counted.window[served], counted.output[served], minlength=size)
    dynamic_j = np.array([sum(run.dynamic_j for run in runs) for runs in counted.runs])
    idle_j = sum(load.replicas * load.replica.idle_w for load in loads) * thinning.duration_s
    hours = thinning.duration_s / 3600.0

    def generated(weights: Floats) -> float:
        return max(float(weights @ tokens), 1.0)

    return {
        "goodput_per_s": lambda weights: float(weights @ met) / thinning.duration_s,
        "slo_attainment": lambda weights: float(weights @ met) / float(weights @ requests),
        "cost_per_million_tokens": lambda weights: price * hours / generated(weights) * 1e6,
        "energy_j_per_token": lambda weights: (
            (idle_j + float(_shares(thinning, weights) @ dynamic_j)) / generated(weights)
        ),
    }


def _errors(
    ranked: dict[str, _Ranked],
    rates: dict[str, Callable[[Floats], float]],
    thinning: Thinning,
    context: Context,
) -> dict[str, float]:
    """Half-width of the 95% interval of what the spec asks about."""
    asked = {*context.spec.objectives, *context.spec.targets.latency_limits()}
    whole, halves = thinning.weights(), thinning.half_samples()
    found: dict[str, float] = {}
    for metric in [name for name in METRICS if name in asked]:
        value = rates[metric] if metric in rates else _latency_of(metric, ranked)
        if value is not None:
            squares = [(value(half) - value(whole)) ** 2 for half in halves]
            found[metric] = _T_95 * math.sqrt(float(np.mean(squares)))
    return found


def _latency_of(metric: str, ranked: dict[str, _Ranked]) -> Callable[[Floats], float] | None:
    name, *rest = metric.split("_")
    if name not in ranked:
        return None
    statistic = rest[0]
    if statistic == STATISTICS[0]:
        return ranked[name].mean
    share = float(statistic[1:]) / 100.0
    return lambda weights: ranked[name].quantiles(weights, [share])[0]


def _pool_outcomes(
    decision: Decision,
    loads: list[PoolLoad],
    counted: _Counted,
    offered: list[float],
    thinning: Thinning,
    context: Context,
) -> list[PoolOutcome]:
    weights = thinning.weights()
    shares = _shares(thinning, weights)
    found = []
    for place, (pool, load) in enumerate(zip(decision.pools, loads, strict=True)):
        runs = [run[place] for run in counted.runs]
        mine = counted.pool == place
        latency = {}
        for name in ("ttft", "tpot", "e2e"):
            has = mine & counted.having(name)
            ranked = _Ranked(counted.latency_s[name][has], counted.window[has])
            latency[name] = ranked.latency(weights)
        idle_j = pool.replicas * load.replica.idle_w * thinning.duration_s
        found.append(
            PoolOutcome(
                pool=pool.name,
                model=pool.model,
                gpu=pool.gpu,
                requests=round(float(weights[counted.window[mine]].sum())),
                utilisation=offered[place],
                kv_peak=max(run.kv_peak for run in runs),
                preemptions=round(float(shares @ [run.preemptions for run in runs])),
                **latency,
                energy_j=idle_j + float(shares @ [run.dynamic_j for run in runs]),
                verdict=_verdict(runs, thinning, offered[place]),
                ready=pool_ready(pool, context),
            )
        )
    return found


def _verdict(runs: list[PoolRun], thinning: Thinning, utilisation: float) -> Verdict:
    """The worst of any window, at the load of the busiest."""
    verdicts = [
        judge_pool(run, duration_s=window.duration_s, utilisation=utilisation)
        for window, run in zip(thinning.windows, runs, strict=True)
    ]
    return max(verdicts, key=WORSE.index)
