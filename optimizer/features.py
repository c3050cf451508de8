"""A decision as numbers for the Gaussian processes: its routing, its deployment."""

from __future__ import annotations

import numpy as np

from boute.context import Context
from boute.optimizer.options import OptionTable
from boute.plan.decision import Decision
from boute.workload.arrays import Floats

__all__ = ["Features"]


class Features:
    """Maps decisions to [F] features in [0, 1]: `routing` columns first, then `deployment`.

    Routing: the cumulated share of queries up to each model but the last [K - 1]. Deployment: for
    each model and GPU type the share of the type's GPUs that the model holds, as a square root so
    that the first few count most [K G], and for each model how full its pools are [K].

    Two points of the search space that decode to one decision have the same features, so the
    processes see what is deployed, not how it was encoded.
    """

    def __init__(self, context: Context, table: OptionTable) -> None:
        self._context = context
        self._table = table
        self._models = {name: index for index, name in enumerate(context.model_names)}
        self._gpus = {supply.name: index for index, supply in enumerate(context.supplies)}
        k, g = len(self._models), len(self._gpus)
        self.routing = list(range(k - 1))
        self.deployment = list(range(k - 1, k - 1 + k * g + k))

    def of(self, decision: Decision) -> Floats:
        """Features [F] of a decision."""
        held = np.zeros((len(self._models), len(self._gpus)))
        carried = np.zeros(len(self._models))
        for pool in decision.pools:
            model, gpu = self._models[pool.model], self._gpus[pool.gpu]
            held[model, gpu] += pool.gpus / self._context.supplies[gpu].count
            carried[model] += pool.replicas * self._table.option(pool).capacity_per_s
        fractions = np.array(decision.routing.fractions)
        load = np.array(decision.routing.asked) * self._context.workload.peak_rate_per_s
        fullness = np.divide(load, carried, out=np.zeros_like(load), where=carried > 0.0)
        return np.concatenate(
            [np.cumsum(fractions)[:-1], np.sqrt(held).ravel(), np.minimum(fullness, 1.0)]
        )
