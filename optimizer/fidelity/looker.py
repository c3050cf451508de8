"""From parts to what a draft is worth: the metrics that the search asks for, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from boute.metrics import LATENCIES, latency_metric
from boute.migration import Migration
from boute.optimizer.constraints import instability
from boute.optimizer.draft import Draft, routing_of
from boute.optimizer.fidelity.part import Part, PartKey, PartSource, sums_of
from boute.optimizer.near import kind_of_option
from boute.optimizer.options import Placed
from boute.optimizer.problem import Problem
from boute.plan.model import Routing
from boute.statistics import statistic

__all__ = ["Looker", "latencies_among"]

# What putting a plan together takes besides its parts, in microseconds.
_TOGETHER: Final = 150

# What the parts that are remembered may take: each holds arrays of its requests' latencies.
_REMEMBERED_BYTES: Final = 256 * 2**20


class Looker:
    """Looks at drafts; `work` is what that took so far, in microseconds as sources count them."""

    def __init__(self, problem: Problem, source: PartSource) -> None:
        self._problem = problem
        self._source = source
        self._options = problem.table.options
        self._kinds = [kind_of_option(problem.context, option) for option in self._options]
        self._migration = Migration(problem.context)
        self._wanted = latencies_among(problem.wanted)
        self._parts: dict[PartKey, Part] = {}
        self._bytes = 0
        self.is_exact = source.is_whole
        self.work = 0

    def metrics(self, draft: Draft) -> tuple[dict[str, float], float]:
        """Every wanted metric by name, and by how much the draft is unstable: 0 if it is not."""
        routing = routing_of(draft.cuts, self._problem)
        parts = self._parts_of(routing, draft.placed)
        self.work += _TOGETHER
        busiest = max(part.utilisation for part in parts)
        unstable = instability(any(part.unstable for part in parts), busiest)
        return self._together(draft, routing, parts), unstable

    def _parts_of(self, routing: Routing, placed: Placed) -> list[Part]:
        policy, setting = self._problem.context.policy, routing.setting
        found: list[Part] = []
        before: PartKey | None = None
        for model, share in enumerate(routing.asked):
            if share > 0.0:
                mine = tuple(item for item in placed if self._options[item[0]].model == model)
                key = PartKey(model, policy.part(setting, model), mine, before)
                found.append(self._part(key, share, found[-1] if before else None))
                before = key if routing.policy == "cascade" else None
        return found

    def _part(self, key: PartKey, share: float, before: Part | None) -> Part:
        part = self._parts.pop(key, None)
        if part is None:
            part, work = self._source.part(key, share, before)
            self.work += work
            self._bytes += part.nbytes
            while self._bytes > _REMEMBERED_BYTES and self._parts:
                # The one not asked for the longest.
                self._bytes -= self._parts.pop(next(iter(self._parts))).nbytes
        self._parts[key] = part
        return part

    def _together(self, draft: Draft, routing: Routing, parts: Sequence[Part]) -> dict[str, float]:
        price = sum(self._options[index].price_per_hour * n for index, n in draft.placed)
        rate_per_s = self._problem.context.workload.rate_per_s
        found = sums_of(parts, self._source, price_per_hour=price, rate_per_s=rate_per_s)
        found["quality"] = self._problem.estimator.judged_quality(routing)
        found |= self._migration.metrics_of({self._kinds[i]: n for i, n in draft.placed})
        for name, statistics in self._wanted.items():
            together = np.concatenate([part.latencies[name] for part in parts])
            for stat in statistics:
                found[latency_metric(name, stat)] = statistic(together, stat)
        return {name: found[name] for name in self._problem.wanted}


def latencies_among(metrics: Sequence[str]) -> dict[str, list[str]]:
    """Of each latency the statistics that are asked for: `ttft` to [`p50`, `p95`]."""
    wanted: dict[str, list[str]] = {}
    for metric in metrics:
        name, _, rest = metric.partition("_")
        if name in LATENCIES:
            wanted.setdefault(name, []).append(rest.removesuffix("_s"))
    return wanted
