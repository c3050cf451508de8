from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.context import Context
from boute.optimizer.assemble import assemble, price_per_hour
from boute.optimizer.decoder import FULLEST
from boute.optimizer.placement.place import cheapest_placement
from boute.optimizer.problem import Problem
from boute.optimizer.seeds import greedy_points, placements_of_ladder
from boute.plan.decision import Decision


def test_seeds_are_points_that_decode_and_plans(problem: Problem) -> None:
    points = greedy_points(problem)
    assert len(points) == len(set(points)) >= 4
    assert any(isinstance(problem.decode(point), Decision) for point in points)
    plans = placements_of_ladder(problem)
    assert len({plan.key for plan in plans}) >= 4


def test_greedy_points_use_the_type_that_is_cheapest_a_request(problem: Problem) -> None:
    options = [option for option in problem.table.options if option.model == 0]
    cheapest = min(options, key=lambda option: option.price_per_request).gpu
    supply = problem.context.supplies[cheapest]
    for point in greedy_points(problem):
        decision = problem.decode(point)
        assert isinstance(decision, Decision)
        small = [pool for pool in decision.pools if pool.model == "llama-3.1-8b"]
        large = [pool for pool in decision.pools if pool.model == "llama-3.1-70b"]
        assert {pool.gpu for pool in large} <= {"h100-sxm"}
        # What the cheapest type has not enough of goes on to the next.
        if {pool.gpu for pool in small} - {supply.name}:
            of_type = [pool for pool in decision.pools if pool.gpu == supply.name]
            assert sum(pool.gpus for pool in of_type) == supply.count


@pytest.mark.parametrize("fullness", [FULLEST, 0.6])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_a_placement_survives_its_encoding(problem: Problem, share: float, fullness: float) -> None:
    """What the decoder makes of the nearest point costs what the integer program found, or less."""
    routing = problem.decoder.routing_for(np.array([1.0 - share, share]))
    placement = cheapest_placement(problem, np.array(routing.fractions), fullness)
    assert placement is not None
    placed = assemble(problem.context, routing, placement)
    decision = problem.decode(problem.point_of(placed))
    assert isinstance(decision, Decision)
    assert decision.routing == routing
    context = problem.context
    cost = sum(p.gpus * context.supply(p.gpu).price_per_hour for p in decision.pools)
    assert cost <= price_per_hour(placement) * 1.05


def test_a_load_beyond_the_inventory_has_no_placement(
    context_of: Callable[..., Context],
) -> None:
    problem = Problem(
        context_of(workload={"trace": "azure-conversation", "duration_s": 20, "rate_scale": 20})
    )
    assert cheapest_placement(problem, np.array([0.0, 1.0]), FULLEST) is None
    assert len(placements_of_ladder(problem)) < len(greedy_points(problem))
