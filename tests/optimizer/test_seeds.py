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
    found = [problem.decode(point) for point in greedy_points(problem)]
    pools = [
        pool for decision in found if isinstance(decision, Decision) for pool in decision.pools
    ]
    assert {pool.gpu for pool in pools if pool.model == "llama-3.1-8b"} == {"l40s"}
    assert {pool.gpu for pool in pools if pool.model == "llama-3.1-70b"} == {"h100-sxm"}


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
