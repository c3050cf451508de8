"""What is done without searching routing and placement together: plans of three plainer ways.

One model on one GPU type; routing on one GPU type; and routing first, by what models cost in
general, with the best placement for it second. Each lists all plans of its kind at some levels of
fullness, so that it is as good as its kind can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

import numpy as np

from boute.optimizer.assemble import Placement, assemble, price_per_hour
from boute.optimizer.decoder import EMPTIEST, FULLEST
from boute.optimizer.enumeration import compositions, count_compositions
from boute.optimizer.pareto import nondominated
from boute.optimizer.placement.build import LEVELS, room_rows
from boute.optimizer.placement.place import cheapest_placement, fastest_placement
from boute.optimizer.problem import Problem
from boute.plan.decision import Decision
from boute.plan.model import Routing
from boute.workload.arrays import Floats

__all__ = [
    "best_placed",
    "best_placements",
    "grid_routings",
    "sequential_plans",
    "single_gpu_plans",
    "single_model_plans",
]

FULLNESS: Final = tuple(np.linspace(EMPTIEST, FULLEST, 15).tolist())
_HEADROOMS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_HASTES: Final = (0.0, 0.5, 0.999)
_SHARES_OF_BUDGET: Final = (0.4, 0.7, 1.0)

# Routings of the grid at most: a finer one would hardly be another plan.
_ROUTINGS: Final = 100


def single_model_plans(problem: Problem) -> Iterator[Decision]:
    """All queries to one model on one GPU type, with every parallelism, at every fullness."""
    rate = problem.context.workload.peak_rate_per_s
    for model in range(problem.encoding.models):
        routing = problem.decoder.routing_for(np.eye(problem.encoding.models)[model])
        for option in problem.table.options:
            if option.model != model:
                continue
            for fullness in FULLNESS:
                placement = {option: option.replicas_for(rate / fullness)}
                if _is_affordable(problem, placement):
                    yield assemble(problem.context, routing, placement)


def single_gpu_plans(problem: Problem) -> Iterator[Decision]:
    """Every routing of the grid on each GPU type alone, as the decoder places it."""
    encoding = problem.encoding
    routings = grid_routings(problem)
    for gpu, routing in product(range(encoding.gpus), routings):
        fractions = problem.context.shares(routing)
        for headroom, haste in product(_HEADROOMS, _HASTES):
            point = encoding.join(fractions, encoding.alone(gpu), headroom, haste)
            found = problem.decode(point)
            # Where a type does not suffice the decoder would take another.
            if isinstance(found, Decision) and len(found.gpu_counts()) == 1:
                yield found


def sequential_plans(problem: Problem) -> Iterator[Decision]:
    """Routings that are efficient whatever runs them, each with its best placements.

    The first stage knows of a model its quality and the bytes of weights that a token needs, and
    keeps the routings that no other beats in both. The second places each of them: at least cost
    for some levels of fullness, and at least latency within some shares of the budget.
    """
    routings = grid_routings(problem)
    quality = [problem.estimator.quality_of(routing)[0] for routing in routings]
    weight = np.array([member.bytes_per_token for member in problem.context.family])
    general = np.array([np.array(routing.asked) @ weight for routing in routings])
    kept = nondominated(np.column_stack([-np.array(quality), general]))
    for routing, keep in zip(routings, kept, strict=True):
        if keep:
            yield from best_placed(problem, routing)


def grid_routings(problem: Problem) -> list[Routing]:
    """Distinct routings on the finest grid of 5% or coarser that is not too many."""
    models = problem.encoding.models
    steps = next(n for n in (20, 10, 5, 2, 1) if n == 1 or _fits(models, n))
    found = map(problem.decoder.routing_for, compositions(models, steps))
    return list({routing.setting: routing for routing in found}.values())


def _fits(models: int, steps: int) -> bool:
    return count_compositions(models, steps) <= _ROUTINGS


def best_placed(problem: Problem, routing: Routing) -> Iterator[Decision]:
    """The plans of a routing with its best placements."""
    for placement in best_placements(problem, np.array(routing.asked)):
        yield assemble(problem.context, routing, placement)


def best_placements(problem: Problem, asked: Floats) -> Iterator[Placement]:
    """The cheapest placements at some levels of fullness, and the fastest within some budgets."""
    whole = sum(s.count * s.price_per_hour for s in problem.context.supplies)
    budget = min(problem.context.spec.targets.budget_per_hour or whole, whole)
    cheap = (cheapest_placement(problem, asked, level) for level in LEVELS)
    fast = (fastest_placement(problem, asked, share * budget) for share in _SHARES_OF_BUDGET)
    for placement in (*cheap, *fast):
        if placement is not None and _is_affordable(problem, placement):
            yield placement


def _is_affordable(problem: Problem, placement: Placement) -> bool:
    """Whether there are so many GPUs, in nodes, and the budget for them."""
    budget = problem.context.spec.targets.budget_per_hour
    if budget is not None and price_per_hour(placement) > budget * (1.0 + 1e-9):
        return False
    rows, rooms = room_rows(list(placement), problem.context.supplies)
    return bool(np.all(rows @ np.array([*placement.values()]) <= rooms))
