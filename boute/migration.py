"""What it costs to go from the fleet that runs, `current` in a spec, to a decision.

Both metrics are exact before a decision is simulated. A change of the engine's settings restarts
every replica whatever is decided, so it is not counted here.
"""

from __future__ import annotations

from collections import Counter

from boute.context import Context
from boute.plan.decision import Decision
from boute.plan.migration import Fleet, Kind, kind_of, moved_gpus, running_fleet
from boute.startup.shipped import replica_ready

__all__ = ["Migration"]


class Migration:
    """From the fleet that runs in one context to the decisions that are made there."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._before = running_fleet(context.current or ())
        self._ready_s: dict[Kind, float] = {}

    def metrics(self, decision: Decision) -> dict[str, float]:
        """`moved_gpus` and `migration_s` of a decision; nothing where it is not known what runs."""
        after: Counter[Kind] = Counter()
        for pool in decision.pools:
            choice = self._context.member(pool.model).choice
            after[kind_of(pool, choice.weights, choice.kv_cache)] += pool.replicas
        return self.metrics_of(after)

    def metrics_of(self, after: Fleet) -> dict[str, float]:
        """The same of a fleet.

        It is whole when the slowest of the replicas that start answers: with compiled code where
        the same kind runs already, without where it is new.
        """
        if self._context.current is None:
            return {}
        starting = [kind for kind, count in after.items() if count > self._before.get(kind, 0)]
        return {
            "moved_gpus": float(moved_gpus(self._before, after)),
            "migration_s": max((self._start_s(kind) for kind in starting), default=0.0),
        }

    def _start_s(self, kind: Kind) -> float:
        """Seconds until a replica answers; 0 where nothing is known of starts, as on CPUs."""
        if kind not in self._ready_s:
            ready = replica_ready(
                self._context.member(kind.model).card,
                self._context.supply(kind.gpu).card,
                tp=kind.tensor_parallel,
                pp=kind.pipeline_parallel,
                weights=kind.weights,
                max_num_seqs=self._context.spec.engine.max_num_seqs,
            )
            self._ready_s[kind] = 0.0
            if ready is not None:
                self._ready_s[kind] = ready.warm_s if kind in self._before else ready.cold_s
        return self._ready_s[kind]
