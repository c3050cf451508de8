"""Plans worth trying first: greedy ones, and exact placements for a few routings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np

from boute.optimizer.assemble import assemble
from boute.optimizer.baselines import best_placed
from boute.optimizer.decoder import EMPTIEST, FULLEST
from boute.optimizer.encoding import Point
from boute.optimizer.inventory import rooms_by_size
from boute.optimizer.placement.place import cheapest_placement
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.worthwhile import worthwhile
from boute.plan.decision import Decision
from boute.plan.model import Routing
from boute.workload.arrays import Floats

__all__ = ["ends", "greedy_points", "placed", "placements_of_ladder", "seeds"]

CHANCE: Final = 64
_HEADROOMS: Final = (0.0, 0.15, 0.5)
_HASTES: Final = (0.0, 0.999)

# Options of a table above which a program takes so long that each routing has only one.
_MANY: Final = 400


def greedy_points(problem: Problem) -> list[Point]:
    """Each routing of the ladder on each GPU type alone, and each model on its cheapest type."""
    encoding = problem.encoding
    alone = [encoding.alone(gpu) for gpu in range(encoding.gpus)]
    points = (
        encoding.join(fractions, preferences, headroom, haste)
        for preferences in (_cheapest_types(problem), *alone)
        for fractions in _ladder(encoding.models)
        for headroom in _HEADROOMS
        for haste in _HASTES
    )
    return list(dict.fromkeys(points))


def _cheapest_types(problem: Problem) -> Floats:
    """Of each model the GPU type that costs least a request: 1 there, else 0 [K, G]."""
    encoding = problem.encoding
    preferences = np.zeros((encoding.models, encoding.gpus))
    for model in range(encoding.models):
        prices = [
            min((option.price_per_request for option in choices), default=np.inf)
            for choices in (problem.table.choices(model, gpu) for gpu in range(encoding.gpus))
        ]
        preferences[model, int(np.argmin(prices))] = 1.0
    return preferences


def placements_of_ladder(problem: Problem) -> list[Decision]:
    """The cheapest placement within the inventory for each routing of the ladder."""
    headrooms = _HEADROOMS if len(problem.table.options) <= _MANY else _HEADROOMS[:1]
    fullness = [FULLEST - headroom * (FULLEST - EMPTIEST) for headroom in headrooms]
    ladder = map(problem.decoder.routing_for, _ladder(problem.encoding.models))
    return placed(problem, ladder, fullness)


def placed(
    problem: Problem, routings: Iterable[Routing], levels: Sequence[float] = (FULLEST,)
) -> list[Decision]:
    """The cheapest placement for each routing at each fullness, where there is one."""
    found = []
    for routing in routings:
        for fullness in levels:
            placement = cheapest_placement(problem, np.array(routing.asked), fullness)
            if placement is not None:
                found.append(assemble(problem.context, routing, placement))
    return found


def ends(problem: Problem) -> list[Decision]:
    """Each model alone, on each GPU type and on all, then two that share the load, cheapest first.

    The best model is also placed as large as can be, in every shape: under bursts nothing less may
    do. These are the ends of the front. Formulas misjudge them, and they add next to no volume.
    """
    encoding, ladder = problem.encoding, list(_ladder(problem.encoding.models))
    alone = [fractions for fractions in ladder if fractions.max() == 1.0]
    pairs = [fractions for fractions in ladder if fractions.max() < 1.0]
    points = [
        encoding.join(fractions, encoding.alone(gpu), 0.0, 0.0)
        for fractions in alone
        for gpu in range(encoding.gpus)
    ]
    decoded = [found for found in map(problem.decode, points) if isinstance(found, Decision)]
    routing_for, price = problem.decoder.routing_for, partial(_price, problem)
    best = [plan for fractions in alone for plan in best_placed(problem, routing_for(fractions))]
    first = sorted([*decoded, *best, *_largest(problem)], key=price)
    second = sorted(placed(problem, map(routing_for, pairs)), key=price)
    return list({plan.key: plan for plan in [*first, *second]}.values())


def _largest(problem: Problem) -> Iterator[Decision]:
    """The best model alone, in each shape with as many replicas as there is room and money for."""
    context = problem.context
    model = int(context.quality.mean(axis=0).argmax())
    routing = problem.decoder.routing_for(np.eye(problem.encoding.models)[model])
    budget = context.spec.targets.budget_per_hour or np.inf
    options = problem.table.options
    for option in (options[i] for i in worthwhile(options) if options[i].model == model):
        rooms = rooms_by_size(context.supplies[option.gpu])
        room = min((room for size, room in rooms.items() if size <= option.gpus), default=0)
        money = budget * (1.0 + 1e-9) // option.price_per_hour
        replicas = int(min(room // option.gpus, money))
        if replicas:
            yield assemble(context, routing, {option: replicas})


def _price(problem: Problem, plan: Decision) -> float:
    return sum(problem.table.option(p).price_per_hour * p.replicas for p in plan.pools)


def _ladder(models: int) -> Iterator[Floats]:
    """Routings from all on the cheapest model to all on the dearest, by way of neighbours."""
    for low in range(models):
        yield np.eye(models)[low]
        for high in range(low + 1, models):
            for share in (0.2, 0.5, 0.8):
                yield np.eye(models)[low] * (1.0 - share) + np.eye(models)[high] * share


def seeds(problem: Problem, seed: int, with_placements: bool = True) -> list[Decision]:
    """Greedy plans, exact placements for a few routings, and Sobol points."""
    chance = sobol_points(problem.encoding.dimensions, CHANCE, seed)
    decoded = [problem.decode(point) for point in [*greedy_points(problem), *chance]]
    found = [decision for decision in decoded if isinstance(decision, Decision)]
    return found + (placements_of_ladder(problem) if with_placements else [])
