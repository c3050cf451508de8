"""Decisions of an earlier world in the world of today: as they are, and placed again for its load.

The routing stays: its thresholds or prices where the scores are the same, else the share of the
queries that each model takes. A share of a model that is gone goes to the next dearer one that is
left. Replicas stay as far as there are such options and room for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.errors import InputError
from boute.optimizer.assemble import Placement, assemble, price_per_hour
from boute.optimizer.decoder import EMPTIEST, FULLEST
from boute.optimizer.earlier import Earlier
from boute.optimizer.inventory import Inventory
from boute.optimizer.nearest import point_near
from boute.optimizer.options import Option
from boute.optimizer.placement.place import cheapest_placement
from boute.optimizer.problem import Problem
from boute.optimizer.study_header import score_hash
from boute.plan.decision import Decision
from boute.plan.model import Routing
from boute.workload.arrays import Floats

__all__ = ["Carried", "Carrier"]


@dataclass(frozen=True)
class Carried:
    """A routing of today, the decision as it was where it can be had, and others in its place.

    `whole` says whether all its replicas were found room for.
    """

    routing: Routing
    whole: bool
    kept: Decision | None
    again: tuple[Decision, ...]

    @property
    def decisions(self) -> list[Decision]:
        """All that came of it, distinct, the kept one first."""
        found = [self.kept, *self.again] if self.kept else list(self.again)
        return list({decision.key: decision for decision in found}.values())


class Carrier:
    """Carries the decisions of an earlier world into one problem.

    Raises InputError when the two have no model in common.
    """

    def __init__(self, problem: Problem, earlier: Earlier) -> None:
        self._problem: Final = problem
        self._context: Final = problem.context
        self._same_scores = earlier.score_hash == score_hash(problem.context)
        now_per_s = problem.context.workload.peak_rate_per_s
        self._rates = [rate for rate in (now_per_s, earlier.peak_rate_per_s) if rate]
        before = {model for past in earlier.past for model in past.decision.routing.models}
        if not before & set(self._context.model_names):
            raise InputError(
                f"has no model in common with the spec (it has {', '.join(sorted(before))})",
                where=earlier.file,
                mend="leave --from out",
            )

    def carry(self, decision: Decision, *, programs: bool = False) -> Carried:
        """A decision in today's world; with `programs` also placed at least cost, as full as now
        and as full as may be.
        """
        routing = self._routing(decision.routing)
        placement, whole = self._room_for(decision, routing)
        kept = self._assembled(routing, placement)
        again = self._decoded(routing, placement)
        if programs:
            again += self._cheapest(routing, placement)
        return Carried(routing, whole, kept, tuple(again))

    def _routing(self, old: Routing) -> Routing:
        decoder = self._problem.decoder
        if not self._same_scores or old.policy != self._context.spec.quality.policy:
            return decoder.routing_for(self._shares(old))
        return decoder.routing_at(np.array(old.setting, dtype=np.float64))

    def _shares(self, old: Routing) -> Floats:
        names = self._context.model_names
        left = [place for place, name in enumerate(old.models) if name in names]
        shares = np.zeros(len(names))
        for place, share in enumerate(old.fractions):
            heir = next((at for at in left if at >= place), left[-1])
            shares[names.index(old.models[heir])] += share
        return shares

    def _room_for(self, decision: Decision, routing: Routing) -> tuple[dict[Option, int], bool]:
        """Replicas that there is room for, the largest first, and whether those are all."""
        inventory = Inventory(self._context.supplies)
        served = {name for name, share in zip(routing.models, routing.asked, strict=True)
                  if share}  # fmt: skip
        placed: dict[Option, int] = {}
        whole = True
        for pool in sorted(decision.pools, key=lambda pool: -pool.gpus_per_replica):
            try:
                option = self._problem.table.option(pool)
            except KeyError:
                whole = False
                continue
            if pool.model not in served:
                continue
            room = inventory.take(option.gpu, option.gpus, pool.replicas)
            whole = whole and room == pool.replicas
            if room:
                placed[option] = placed.get(option, 0) + room
        return placed, whole

    def _assembled(self, routing: Routing, placement: Placement) -> Decision | None:
        """The decision, unless a model has no replica left or the budget is exceeded."""
        models = {option.model for option in placement}
        if any(share and place not in models for place, share in enumerate(routing.asked)):
            return None
        budget = self._context.spec.targets.budget_per_hour
        if budget is not None and price_per_hour(placement) > budget * (1.0 + 1e-9):
            return None
        return assemble(self._context, routing, placement)

    def _decoded(self, routing: Routing, placement: Placement) -> list[Decision]:
        """By way of the cube: as full as the replicas are now, and as full as they were."""
        problem, found = self._problem, []
        for rate in self._rates:
            point = point_near(
                routing, placement, rate, problem.encoding, self._context, problem.table
            )
            decoded = problem.decode(point)
            if isinstance(decoded, Decision):
                found.append(decoded)
        return found

    def _cheapest(self, routing: Routing, placement: Placement) -> list[Decision]:
        found = []
        asked = np.array(routing.asked)
        for fullness in (FULLEST, self._fullness(asked, placement)):
            cheapest = cheapest_placement(self._problem, asked, fullness)
            decision = cheapest and self._assembled(routing, cheapest)
            if decision:
                found.append(decision)
        return found

    def _fullness(self, asked: Floats, placement: Placement) -> float:
        """Load over what the replicas carry within the targets, at the rate that they were for."""
        carried = _carried(placement, len(asked))
        served = (asked > 0.0) & (carried > 0.0)
        if not served.any():
            return FULLEST
        load = asked[served] * self._rates[-1]
        return float(np.clip(np.mean(load / carried[served]), EMPTIEST, FULLEST))


def _carried(placement: Placement, models: int) -> Floats:
    carried = np.zeros(models)
    for option, replicas in placement.items():
        carried[option.model] += replicas * option.goodput_per_s
    return carried
