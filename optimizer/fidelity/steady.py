"""Parts by formula: pools in the steady state of the moment, with queues as a fluid.

The window is cut into stretches of some seconds. In each a pool is in the steady state of the rate
at which requests come then; what comes beyond what it carries waits, and is served when less comes.
A sample of the workload's requests is given the latencies of its pools and of its stretch. Luck
within a stretch and preemptions are left to the simulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from boute.context import Context
from boute.optimizer.fidelity.part import Part, PartKey, after, merged
from boute.optimizer.options import OptionTable
from boute.routing.policies.of import policy_of
from boute.routing.policies.policy import Bools, Queries
from boute.workload.arrays import Floats, Ints, Workload

__all__ = ["SteadyParts"]

# Requests whose latencies are estimated: enough for a P99 to mean something.
SAMPLE: Final = 512

_GOLDEN: Final = 0.6180339887498949
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

    def __init__(self, context: Context, table: OptionTable, latencies: Sequence[str]) -> None:
        self._options = table.options
        self._supplies = context.supplies
        self._limits = context.spec.targets.request_limits()
        self._wanted = tuple(latencies)
        workload = context.workload
        chosen = _sample_of(workload)
        evidence = context.evidence.take(workload.row[chosen])
        self._policy = policy_of(context.spec.quality.policy, evidence)
        self._is_cascade = context.spec.quality.policy == "cascade"
        self._input = workload.input_tokens[chosen].astype(np.float64)
        self._output = workload.output_tokens[chosen]
        # A low-discrepancy sequence deals the sample out to pools in proportion to their weights.
        self._deal = (np.arange(len(chosen)) * _GOLDEN) % 1.0
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
        self.drains = workload.thinning is None
        self.requests = len(chosen)
        # The sample as a workload of its own: as long as its requests take at the rate of all.
        self.duration_s = len(chosen) / workload.rate_per_s
        self._arrival_s = workload.arrival_s[chosen]
        self._of_whole = self.duration_s / workload.duration_s

    def part(self, key: PartKey, share: float, before: Part | None = None) -> tuple[Part, int]:
        """A part and the work that it took."""
        carried = np.array([n * self._options[i].goodput_per_s for i, n in key.placed])
        part = self.of_pools(key, carried / carried.sum(), share, before)
        return part, _POOL * len(key.placed)

    def of_pools(
        self, key: PartKey, weights: Floats, share: float, before: Part | None = None
    ) -> Part:
        """The part of a model, whose pools are one entry of `key.placed` each.

        `weights` are the shares of the model's queries that they take, `share` that of all queries
        in the workload that the model is asked, `before` the stage before it in a cascade.
        """
        edges = np.concatenate([[0.0], np.cumsum(weights)])
        mine = self._policy.queries(key.queries, key.model)
        left_s = None
        if self._is_cascade:
            earlier = None if before is None else before.left_s
            left_s = np.zeros((2, self.requests)) if earlier is None else earlier.copy()
        parts = []
        for place, (index, replicas) in enumerate(key.placed):
            low, high = edges[place], edges[place + 1]
            own = np.flatnonzero(mine.asked & (self._deal >= low) & (self._deal < high))
            load = share * self._rate_per_s * (high - low) / replicas
            parts.append(self._pool(index, replicas, load, own, mine, left_s))
        return replace(merged(parts), left_s=left_s) if self._is_cascade else merged(parts)

    def _pool(
        self,
        index: int,
        replicas: int,
        load: float,
        own: Ints,
        mine: Queries,
        left_s: Floats | None,
    ) -> Part:
        """The part of one pool, which is asked the requests `own`; it notes when they leave."""
        option = self._options[index]
        utilisation = load / option.capacity_per_s
        card = self._supplies[option.gpu].card
        output = self._output[own, option.model]
        times = self._times(index, utilisation, own, output)
        answered: slice | Bools = slice(None)
        if left_s is not None:
            times = after(left_s[:, own], times, streams=mine.streams)
            left_s[:, own] = times["e2e"], times["queue"]
            answered = mine.answered[own]
        last_s = float((self._arrival_s[own] + times["e2e"]).max(initial=0.0))
        times = {name: values[answered] for name, values in times.items()}
        output = output[answered]
        met = np.ones(len(output), dtype=bool)
        for name, limit in self._limits.items():
            met &= times[name] <= limit
        # Between idle and peak in proportion to the load: a prior, not a prediction.
        above_w = (card.peak_w - card.idle_w) * min(utilisation, 1.0)
        return Part(
            latencies={name: times[name] for name in self._wanted},
            within_limits=int(met.sum()),
            tokens=int(output.sum()),
            dynamic_j=replicas * option.gpus * above_w * self.duration_s,
            idle_w=replicas * option.gpus * card.idle_w,
            end_s=last_s * self._of_whole,
            utilisation=utilisation * self._peak_of_mean,
            unstable=utilisation * self._peak_of_mean >= 1.0,
        )

    def _times(self, index: int, utilisation: float, own: Ints, output: Ints) -> dict[str, Floats]:
        """Seconds by name of the requests `own` [n] with so many output tokens [n]."""
        curve = self._curve(index)
        offered = np.asarray(utilisation * self._busy, dtype=np.float64)
        waits_s = _fluid_waits(offered - 1.0) * self._stretch_s
        then = self._stretch[own]
        level = np.minimum(offered, _LEVELS[-1])[then]
        ttft = np.interp(level, _LEVELS, curve.ttft_s) * _share_of_mean(self._input[own])
        ttft += waits_s[then]
        tpot = np.interp(level, _LEVELS, curve.tpot_s)
        return {
            "ttft": ttft,
            "tpot": tpot,
            "e2e": ttft + tpot * (output - 1.0),
            "queue": waits_s[then] + 0.1 * (ttft - waits_s[then]),
        }

    def _curve(self, index: int) -> _Curve:
        if index not in self._curves:
            option = self._options[index]
            steady = [option.at_rate(level * option.capacity_per_s) for level in _LEVELS]
            self._curves[index] = _Curve(
                np.array([state.ttft_s for state in steady]),
                np.array([state.tpot_s for state in steady]),
            )
        return self._curves[index]


def _sample_of(workload: Workload) -> Ints:
    """Every n-th request, with scores spread as the workload's are."""
    step = max(len(workload) // SAMPLE, 1)
    return np.argsort(workload.score, kind="stable")[step // 2 :: step]


def _share_of_mean(tokens: Floats) -> Floats:
    """How a request's TTFT compares with its pool's mean: part waiting, part its own prefill."""
    return 0.3 + 0.7 * tokens / tokens.mean() if len(tokens) else tokens


def _fluid_waits(excess: Floats) -> Floats:
    """Backlog at the end of each stretch, in stretches of work, of what comes in excess [n]."""
    level: Floats = np.cumsum(excess)
    waits: Floats = level - np.minimum(np.minimum.accumulate(level), 0.0)
    return waits
