"""What no evaluation of a decision can better: bounds for pruning, without a simulation.

Quality and price are known. A request is never faster in company than alone on an idle replica:
a step that does more takes no less, and sharing steps only adds some. So the simulated latencies of
each request alone, on the fastest pool that may take it, bound each percentile from below. In a
cascade the times alone of all models that a request is asked of add up.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from boute.migration import Migration
from boute.optimizer.options import Option
from boute.optimizer.problem import Problem
from boute.plan.decision import Decision
from boute.running import Routed, routed
from boute.simulation.pool import simulate_pool
from boute.statistics import statistic
from boute.workload.arrays import Floats

__all__ = ["Ideal"]

# Between two arrivals when each request is to be alone: longer than any takes.
_APART_S: Final = 1e5

# Relative: absolute times of a long run lose digits.
_DIGITS: Final = 1e-6


class _Times(NamedTuple):
    """TTFT, TPOT and E2E in seconds of each request [N]."""

    ttft: Floats
    tpot: Floats
    e2e: Floats


class Ideal:
    """Best values that decisions of one problem could reach."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._migration = Migration(problem.context)
        self._alone: dict[Option, _Times] = {}
        self._fastest: dict[tuple[object, ...], dict[str, float]] = {}
        limits = problem.context.spec.targets.latency_limits()
        self._metrics = tuple(dict.fromkeys([*problem.objectives, *limits]))

    def values(self, decision: Decision) -> Floats:
        """Normalised objectives [m] that an evaluation does not better."""
        best = self.metrics(decision)
        found = np.array([best[name] for name in self._problem.objectives])
        return self._problem.scale.normalise(found)

    def misses_a_target(self, decision: Decision) -> bool:
        """Whether a latency target cannot be met, however little there is to do."""
        best = self.metrics(decision)
        limits = self._problem.context.spec.targets.latency_limits()
        return any(best[name] > limit for name, limit in limits.items())

    def metrics(self, decision: Decision) -> dict[str, float]:
        """Objectives and limited latencies by name, each no worse than an evaluation's."""
        options = frozenset(self._problem.table.option(pool) for pool in decision.pools)
        key = (decision.routing.setting, options)
        if key not in self._fastest:
            self._fastest[key] = self._latencies(decision, options)
        return self._fastest[key] | self._others(decision)

    def _others(self, decision: Decision) -> dict[str, float]:
        context = self._problem.context
        workload = context.workload
        price = sum(
            context.supply(gpu).price_per_hour * count
            for gpu, count in decision.gpu_counts().items()
        )
        tokens = int(workload.output_tokens.max(axis=1).sum())
        return {
            "quality": self._problem.estimator.quality(decision)[0],
            "cost_per_hour": price,
            "cost_per_million_tokens": price / 3600.0 * workload.duration_s / tokens * 1e6,
            "energy_j_per_token": 0.0,
            "slo_attainment": 1.0,
            "goodput_per_s": len(workload) / workload.duration_s,
        } | self._migration.metrics(decision)

    def _latencies(self, decision: Decision, options: frozenset[Option]) -> dict[str, float]:
        workload = self._problem.context.workload
        found_routed = routed(decision, workload, self._problem.context)
        times = self._together(found_routed, options)
        streamed = found_routed.output > 1
        found = {}
        for metric in self._metrics:
            name, _, stat = metric.removesuffix("_s").partition("_")
            if name == "queue":
                found[metric] = 0.0
            elif name in _Times._fields:
                values = times.tpot[streamed] if name == "tpot" else getattr(times, name)
                found[metric] = statistic(values, stat) * (1.0 - _DIGITS)
        return found

    def _together(self, found: Routed, options: frozenset[Option]) -> _Times:
        """Of each request the least times of its models one after the other."""
        waited_s = np.zeros(len(found.answers))
        whole = _Times(*(np.zeros(len(found.answers)) for _ in _Times._fields))
        for model in sorted({option.model for option in options}):
            best = _Times(*np.min([self._times(o) for o in options if o.model == model], axis=0))
            mine = found.answers == model
            buffered = found.asked is not None and model != found.streams
            first = best.e2e if buffered else best.ttft
            whole.ttft[mine] = (waited_s + first)[mine]
            whole.tpot[mine] = 0.0 if buffered else best.tpot[mine]
            whole.e2e[mine] = (waited_s + best.e2e)[mine]
            if found.asked is not None:
                waited_s += np.where(found.asked[:, model], best.e2e, 0.0)
        return whole

    def _times(self, option: Option) -> _Times:
        """Latencies of every request alone on a replica; 0 for one that it cannot hold."""
        if option not in self._alone:
            workload = self._problem.context.workload
            arrival: Floats = np.arange(len(workload), dtype=np.float64) * _APART_S
            output = workload.output_tokens[:, option.model]
            run = simulate_pool(option.replica, 1, arrival, workload.input_tokens, output, seed=0)
            around_s = option.replica.request_s
            e2e = np.where(run.failed, 0.0, run.finish_s - run.arrival_s + around_s)
            ttft = np.where(run.failed, 0.0, run.ttft_s + around_s)
            tpot = (e2e - ttft) / np.maximum(output - 1, 1)
            self._alone[option] = _Times(ttft, tpot, e2e)
        return self._alone[option]
