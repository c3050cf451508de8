"""From genes to whole GPUs within inventory, node size and budget, or to a stated reason.

Every point decodes to a feasible decision or to a `Rejection`. Models are placed from the dearest
to the cheapest, because the dearest have the fewest places to go. A model's load is covered first
on the GPU types it wants, then on any other that has room. Headroom and haste are wishes: they
give way to the inventory and the budget, stability does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from boute.context import Context
from boute.optimizer.assemble import Placement, assemble, price_per_hour
from boute.optimizer.encoding import Genes
from boute.optimizer.inventory import Inventory
from boute.optimizer.options import ROUNDING, Option, OptionTable
from boute.plan.decision import Decision
from boute.plan.model import Routing
from boute.routing.policies.of import as_planned
from boute.workload.arrays import Floats

__all__ = ["FULLEST", "Decoder", "Rejection"]

# Utilisation of a pool at headroom 0 and 1. Above 0.95 queues grow without bound in practice;
# below 0.25 a further replica hardly shortens a request any more.
FULLEST: Final = 0.95
EMPTIEST: Final = 0.25

# How far headroom and haste give way, step by step, when a decision costs more than the budget or
# finds too few GPUs.
_CONCESSIONS: Final = ((1.0, 1.0), (0.5, 1.0), (0.0, 1.0), (0.0, 0.0))


@dataclass(frozen=True)
class Rejection:
    """Why a point is no plan: the constraint that binds, and a sentence with figures."""

    constraint: Literal["memory", "inventory", "budget"]
    reason: str
    shortfall: float  # relative: 0.2 is 20% too little

    def __post_init__(self) -> None:
        if not self.shortfall >= 0.0:
            raise ValueError("a shortfall is not negative")


class Decoder:
    """Decodes genes for one context and option table."""

    def __init__(self, context: Context, table: OptionTable) -> None:
        self._context = context
        self._table = table
        self._policy = context.policy
        # How many requests of the workload repeat each row of the table.
        rows = len(context.evidence)
        self._repeats = np.bincount(context.workload.row, minlength=rows).astype(np.float64)
        self._routings: dict[bytes, Routing] = {}
        self._budget = context.spec.targets.budget_per_hour

    def decode(self, genes: Genes) -> Decision | Rejection:
        """A decision within inventory, node size and budget, or the reason why there is none."""
        routing = self.routing_for(genes.fractions)
        answer: Decision | Rejection
        for headroom, haste in _CONCESSIONS:
            eased = replace(genes, headroom=genes.headroom * headroom, haste=genes.haste * haste)
            answer = self._attempt(routing, eased)
            if isinstance(answer, Decision) or answer.constraint == "memory":
                break
        return answer

    def load_fractions(self, setting: Floats) -> Floats:
        """Share of the workload's requests that each model answers [K] under a setting.

        Not quite the share of the table's rows when the workload does not repeat each row equally.
        """
        answers = self._policy.answers(setting)
        models = len(self._context.family)
        counts = np.bincount(answers, weights=self._repeats, minlength=models)
        return np.asarray(counts / len(self._context.workload), dtype=np.float64)

    def routing_for(self, asked: Floats) -> Routing:
        """The routing nearest to fractions [K] of the queries; remembered, as they recur."""
        key = asked.tobytes()
        if key not in self._routings:
            self._routings[key] = self.routing_at(self._policy.setting_for(asked))
        return self._routings[key]

    def routing_at(self, setting: Floats) -> Routing:
        """The routing of a setting, but that a model without requests is not asked at all.

        Rows of the table that no request of this workload repeats may be a model's only ones. It
        has no pool, so others have to answer when such a query comes.
        """
        fractions = self.load_fractions(setting)
        name = self._context.spec.quality.policy
        loads = fractions if name != "cascade" else self._loads(setting)
        return Routing(
            models=list(self._context.model_names),
            fractions=fractions.tolist(),
            policy=name,
            loads=loads.tolist() if name == "cascade" else [],
            **as_planned(name, self._policy.closed(setting, loads)),
        )

    def _loads(self, setting: Floats) -> Floats:
        """Share of the workload's requests that each model is asked [K]."""
        asked = self._policy.asked(setting)
        return np.asarray(self._repeats @ asked / len(self._context.workload), dtype=np.float64)

    def _attempt(self, routing: Routing, genes: Genes) -> Decision | Rejection:
        placed = self._place(routing.asked, genes)
        if isinstance(placed, Rejection):
            return placed
        return self._within_budget(placed) or assemble(self._context, routing, placed)

    def _place(self, asked: Sequence[float], genes: Genes) -> Placement | Rejection:
        inventory = Inventory(self._context.supplies)
        placed: dict[Option, int] = {}
        for model in reversed(range(len(asked))):
            load = asked[model] * self._context.workload.peak_rate_per_s
            if load == 0.0:
                continue
            found = self._place_model(model, load, genes, inventory)
            if isinstance(found, Rejection):
                return found
            placed.update(found)
        return placed

    def _place_model(
        self, model: int, load: float, genes: Genes, inventory: Inventory
    ) -> Placement | Rejection:
        if not any(self._table.choices(model, gpu) for gpu in range(len(genes.wants[model]))):
            return Rejection("memory", self._table.why_not(model), 1.0)
        fullness = FULLEST - float(genes.headroom[model]) * (FULLEST - EMPTIEST)
        need = load / fullness
        held: dict[Option, int] = {}
        covered = 0.0
        for gpu, share in self._turns(model, genes.wants[model]):
            asked = min(share * need, need - covered)
            while asked > ROUNDING * need:
                option = self._pick(model, gpu, asked, float(genes.haste[model]), inventory)
                if option is None:
                    break
                replicas = inventory.take(gpu, option.gpus, option.replicas_for(asked))
                held[option] = held.get(option, 0) + replicas
                asked -= replicas * option.goodput_per_s
                covered += replicas * option.goodput_per_s
        if covered * FULLEST < load * (1.0 - 2.0 * ROUNDING):
            return self._too_little(model, load, covered)
        return held

    def _turns(self, model: int, wants: Floats) -> list[tuple[int, float]]:
        """GPU types in the order they are asked, with the share of the load that is asked of each.

        First the wanted ones for the share wanted of them, then all for whatever is left: wanted
        ones before others, and those from the cheapest a request.
        """
        price = {
            gpu: choices[0].price_per_request
            for gpu in range(len(wants))
            if (choices := self._table.choices(model, gpu))
        }
        order = sorted(price, key=lambda gpu: (-wants[gpu], price[gpu], gpu))
        wanted = [(gpu, float(wants[gpu])) for gpu in order if wants[gpu] > 0.0]
        return wanted + [(gpu, 1.0) for gpu in order]

    def _pick(
        self, model: int, gpu: int, rate_per_s: float, haste: float, inventory: Inventory
    ) -> Option | None:
        """The option of a pair for a rate, from the cheapest at haste 0 to the fastest at 1."""
        choices = self._table.choices_at(model, gpu, rate_per_s, inventory.room(gpu))
        return choices[min(int(haste * len(choices)), len(choices) - 1)] if choices else None

    def _too_little(self, model: int, load: float, covered: float) -> Rejection:
        name = self._context.model_names[model]
        return Rejection(
            "inventory",
            f"{name} gets {load:.3g} requests/s, and the GPUs left carry {covered * FULLEST:.3g}",
            1.0 - covered * FULLEST / load,
        )

    def _within_budget(self, placed: Placement) -> Rejection | None:
        cost = price_per_hour(placed)
        if self._budget is None or cost <= self._budget * (1.0 + 1e-9):
            return None
        return Rejection(
            "budget",
            f"the plan costs ${cost:.2f} an hour, the budget is ${self._budget:.2f}",
            cost / self._budget - 1.0,
        )
