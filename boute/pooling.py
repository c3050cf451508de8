"""Statistics of requests that stand for more of their like, by the weights of their windows.

Means, shares and percentiles are over the counted requests, each as often as it stands for. The
error of thinning is their spread over the half-samples of the windows (`boute.workload.windows`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.context import Context
from boute.metrics import METRICS, STATISTICS
from boute.outcome import Latency
from boute.running import PERCENTILES
from boute.simulation.fleet import PoolLoad
from boute.simulation.pool import PoolRun
from boute.workload.arrays import Floats, Ints
from boute.workload.windows import STRATA, Thinning

__all__ = ["Counted", "Ranked", "errors", "rates", "shares"]

# Student's t at 97.5% with as many degrees of freedom as there are strata.
_T_95: Final = {6: 2.447}[STRATA]


@dataclass(frozen=True, eq=False)
class Counted:
    """The counted requests of all windows, n of them; `window` [n] are indices.

    `latency_s` are by name, [n] each; `streamed` [n] have a time per output token. `runs` are those
    of the pools, window by window.
    """

    window: Ints
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


class Ranked:
    """Values [n], and the window of each [n], ready for percentiles under many weights."""

    def __init__(self, values: Floats, window: Ints) -> None:
        order = np.argsort(values)
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


def shares(thinning: Thinning, weights: Floats) -> Floats:
    """How often the whole of each window [W] stands for its like, lead-in and tail included."""
    whole = np.array([window.last - window.first for window in thinning.windows])
    counted = np.array([window.requests for window in thinning.windows])
    return np.asarray(weights * counted / np.maximum(whole, 1))


def rates(
    counted: Counted, thinning: Thinning, loads: list[PoolLoad], price: float
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
            (idle_j + float(shares(thinning, weights) @ dynamic_j)) / generated(weights)
        ),
    }


def errors(
    ranked: dict[str, Ranked],
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


def _latency_of(metric: str, ranked: dict[str, Ranked]) -> Callable[[Floats], float] | None:
    name, *rest = metric.split("_")
    if name not in ranked:
        return None
    statistic = rest[0]
    if statistic == STATISTICS[0]:
        return ranked[name].mean
    share = float(statistic[1:]) / 100.0
    return lambda weights: ranked[name].quantiles(weights, [share])[0]
