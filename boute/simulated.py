"""A decision run on a workload, and each metric of it, worked out when it is asked for.

`boute.evaluate` makes a whole outcome of it. Who wants a few metrics in many worlds, as intervals
do, takes those alone: the same numbers to the last bit, without the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from boute.context import Context
from boute.metrics import LATENCIES, METRICS, MIGRATION
from boute.migration import Migration
from boute.outcome import Verdict
from boute.plan.decision import Decision
from boute.routing.expected import Interval
from boute.running import (
    WORSE,
    pool_loads,
    price_per_hour,
    routed,
    simulate,
    utilisation,
    within_limits,
)
from boute.simulation.fleet import FleetRun, PoolLoad
from boute.simulation.verdict import judge_pool
from boute.statistics import percentiles
from boute.workload.arrays import Floats, Ints, Workload

__all__ = ["Simulated", "simulated"]


@dataclass(frozen=True, eq=False)
class Simulated:
    """A run and what it was made of: pools in the decision's order, output tokens [N]."""

    decision: Decision
    workload: Workload
    context: Context
    loads: list[PoolLoad]
    output: Ints
    run: FleetRun

    def value(self, metric: str) -> float:
        """Value of a metric by its name in `boute.metrics`, as `boute.outcome` tells it.

        Raises KeyError for another name, and for moves where it is not known what runs.
        """
        if metric not in METRICS:
            raise KeyError(metric)
        latency, _, rest = metric.partition("_")
        if latency in LATENCIES:
            return _statistic(self.latency(latency), rest.removesuffix("_s"))
        if metric in MIGRATION:
            return Migration(self.context).metrics(self.decision)[metric]
        return self._sum(metric)

    def _sum(self, metric: str) -> float:
        """Value of a metric that is no latency and no move."""
        match metric:
            case "quality":
                return self.quality.mean
            case "cost_per_hour":
                return self.price_per_hour
            case "cost_per_million_tokens":
                return self.price_per_hour / 3600.0 * self.window_s / self.tokens * 1e6
            case "energy_j_per_token":
                return sum(self.energies_j) / self.tokens
            case "slo_attainment":
                return float(self._met.mean())
            case "goodput_per_s":
                return float(self._met.sum() / self.window_s)
        raise KeyError(metric)

    def latency(self, name: str) -> Floats:
        """Seconds of `ttft`, `tpot`, `e2e` or `queue` of the requests that have it."""
        run = self.run
        values = {"ttft": run.ttft_s, "tpot": run.tpot_s, "e2e": run.e2e_s, "queue": run.queue_s}
        has = self.served & (self.output > 1) if name == "tpot" else self.served
        return values[name][has]

    @property
    def verdict(self) -> Verdict:
        """That of the worst pool."""
        return max(self.verdicts, key=WORSE.index)

    @property
    def utilisation(self) -> float:
        """That of the busiest pool."""
        return max(self.utilisations)

    @cached_property
    def served(self) -> NDArray[np.bool_]:
        """Whether each request [N] was answered."""
        return ~self.run.failed

    @cached_property
    def tokens(self) -> int:
        """Tokens that were generated; at least 1, as it is divided by."""
        return max(int(self.output[self.served].sum()), 1)

    @cached_property
    def window_s(self) -> float:
        """From the first arrival to the end of the window, or of the work if that is later."""
        return max(self.workload.duration_s, *(pool.end_s for pool in self.run.runs))

    @cached_property
    def quality(self) -> Interval:
        """Over the rows of the table under the routing, with its 95% interval."""
        return self.context.expected(self.decision.routing)

    @cached_property
    def price_per_hour(self) -> float:
        """Dollars an hour of all GPUs."""
        return price_per_hour(self.decision, self.context)

    @cached_property
    def utilisations(self) -> list[float]:
        """Of each pool what it is offered over what it can carry."""
        return [
            utilisation(load, mine, self.workload)
            for load, mine in zip(self.loads, self.run.members, strict=True)
        ]

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Of each pool whether it keeps up."""
        duration_s = self.workload.duration_s
        return [
            judge_pool(run, duration_s=duration_s, utilisation=load)
            for run, load in zip(self.run.runs, self.utilisations, strict=True)
        ]

    @cached_property
    def energies_j(self) -> list[float]:
        """Of each pool, idle replicas included."""
        return [
            load.replicas * load.replica.idle_w * self.window_s + run.dynamic_j
            for load, run in zip(self.loads, self.run.runs, strict=True)
        ]

    @cached_property
    def _met(self) -> NDArray[np.bool_]:
        return within_limits(self.run, self.context)


def simulated(
    decision: Decision,
    workload: Workload,
    context: Context,
    loads: list[PoolLoad] | None = None,
) -> Simulated:
    """Run a workload that is not thinned; raise InputError for a pool that cannot exist.

    `loads` are the decision's pools where they are known (`boute.running.pool_loads`): they are the
    same in every resample of a context, and at every load.
    """
    if loads is None:
        loads = pool_loads(decision, context)
    found = routed(decision, workload, context)
    run = simulate(loads, workload, found, context.spec.workload.seed)
    return Simulated(decision, workload, context, loads, found.output, run)


def _statistic(values: Floats, name: str) -> float:
    if len(values) == 0:
        return 0.0
    if name == "mean":
        return float(values.mean())
    return percentiles(values, [float(name.removeprefix("p"))])[0]
