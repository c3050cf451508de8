"""Parts by formula: pools in the steady state of the moment, with queues as a fluid.

The window is cut into stretches of some seconds. In each a pool is in the steady state of the rate
at which requests come then; what comes beyond what it carries waits, and is served when less comes.
A sample of the workload's requests is given the latencies of its pools and of its stretch. Luck
within a stretch and preemptions are left to the simulator.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from boute.optimizer.estimate import GOLDEN, sample_of, share_of_mean
from boute.optimizer.fidelity.looker import latencies_among
from boute.optimizer.fidelity.part import Part, PartKey, merged
from boute.optimizer.problem import Problem
from boute.workload.arrays import Floats, Ints

__all__ = ["SteadyParts"]

_POOL: Final = 60  # work of a pool, in microseconds

# A stretch is longer than most requests take to be scheduled, and there are not too many of them.
_STRETCH_S: Final = 10.0
_MOST_STRETCHES: Final = 512

# Shares of the capacity at which the steady state of an option is worked out.
_LEVELS: Final = np.array([0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.93, 0.97])


class _Curve(NamedTuple):
    """Mean TTFT and TPOT in seconds of an option at each of the levels."""

    ttft_s: Floats
    tpot_s: Floats


class SteadyParts:
    """The estimate in parts; never exact."""

    def __init__(self, problem: Problem) -> None:
        self._options = problem.table.options
        self._supplies = problem.context.supplies
        self._limits = problem.context.spec.targets.request_limits()
        self._wanted = tuple(latencies_among(problem.wanted))
        workload = problem.context.workload
        chosen = sample_of(workload)
        self._score = workload.score[chosen]
        self._input = workload.input_tokens[chosen].astype(np.float64)
        self._output = workload.output_tokens[chosen]
        self._deal = (np.arange(len(chosen)) * GOLDEN) % 1.0
        self._rate_per_s = workload.rate_per_s
        self._peak_of_mean = workload.peak_rate_per_s / workload.rate_per_s
        count = int(min(max(workload.duration_s / _STRETCH_S, 1.0), _MOST_STRETCHES))
        self._stretch_s = workload.duration_s / count
        arrived = np.minimum((workload.arrival_s / self._stretch_s).astype(np.int64), count - 1)
        self._stretch = arrived[chosen]
        # How the rate of each stretch compares with the mean.
        self._busy = np.bincount(arrived, minlength=count) * (count / len(workload))
        self._curves: dict[int, _Curve] = {}
        self.is_whole = False
        self.requests = len(chosen)
        self.duration_s = len(chosen) / workload.rate_per_s

    def part(self, key: PartKey, share: float) -> tuple[Part, int]:
        """A part and the work that it took."""
        carried = np.array([n * self._options[i].goodput_per_s for i, n in key.placed])
        edges = np.concatenate([[0.0], np.cumsum(carried / carried.sum())])
        mine = (self._score > key.above) & (self._score <= key.up_to)
        parts = []
        for place, (index, replicas) in enumerate(key.placed):
            low, high = edges[place], edges[place + 1]
            own = np.flatnonzero(mine & (self._deal >= low) & (self._deal < high))
            load = share * self._rate_per_s * (high - low) / replicas
            parts.append(self._pool(index, replicas, load, own))
        return merged(parts), _POOL * len(parts)

    def _pool(self, index: int, replicas: int, load: float, own: Ints) -> Part:
        option = self._options[index]
        curve = self._curve(index)
        utilisation = load / option.capacity_per_s
        offered = utilisation * self._busy
        waits_s = _fluid_waits(offered - 1.0) * self._stretch_s
        then = self._stretch[own]
        level = np.minimum(offered, _LEVELS[-1])[then]
        ttft = np.interp(level, _LEVELS, curve.ttft_s) * share_of_mean(self._input[own])
        ttft += waits_s[then]
        tpot = np.interp(level, _LEVELS, curve.tpot_s)
        card = self._supplies[option.gpu].card
        output = self._output[own, option.model]
        times: dict[str, Floats] = {
            "ttft": ttft,
            "tpot": tpot,
            "e2e": ttft + tpot * (output - 1.0),
            "queue": waits_s[then] + 0.1 * (ttft - waits_s[then]),
        }
        met = np.ones(len(own), dtype=bool)
        for name, limit in self._limits.items():
            met &= times[name] <= limit
        watts = card.idle_w + (card.peak_w - card.idle_w) * min(utilisation, 1.0)
        return Part(
            latencies={name: times[name] for name in self._wanted},
            within_limits=int(met.sum()),
            tokens=int(output.sum()),
            dynamic_j=0.0,
            idle_w=replicas * option.gpus * watts,
            end_s=0.0,
            utilisation=utilisation * self._peak_of_mean,
            unstable=utilisation * self._peak_of_mean >= 1.0,
        )

    def _curve(self, index: int) -> _Curve:
        if index not in self._curves:
            option = self._options[index]
            steady = [option.at_rate(level * option.capacity_per_s) for level in _LEVELS]
            self._curves[index] = _Curve(
                np.array([state.ttft_s for state in steady]),
                np.array([state.tpot_s for state in steady]),
            )
        return self._curves[index]


def _fluid_waits(excess: Floats) -> Floats:
    """Backlog at the end of each stretch, in stretches of work, of what comes in excess [n]."""
    level = np.cumsum(excess)
    return level - np.minimum(np.minimum.accumulate(level), 0.0)
