from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.context import Context
from boute.optimizer.assemble import assemble, price_per_hour
from boute.optimizer.decoder import FULLEST
from boute.optimizer.draft import draft_of
from boute.optimizer.moves import Moves
from boute.optimizer.placement.place import cheapest_placement
from boute.optimizer.problem import Problem
from boute.optimizer.seeds import ends, greedy_points, placements_of_ladder
from boute.optimizer.worthwhile import worthwhile
from boute.plan.decision import Decision


def test_seeds_are_points_that_decode_and_plans(problem: Problem) -> None:
    points = greedy_points(problem)
    assert len(points) == len(set(points)) >= 4
    assert any(isinstance(problem.decode(point), Decision) for point in points)
    plans = placements_of_ladder(problem)
    assert len({plan.key for plan in plans}) >= 4


def test_greedy_points_want_each_type_alone_and_the_cheapest_of_each_model(
    problem: Problem,
) -> None:
    encoding = problem.encoding
    cheapest = np.zeros((encoding.models, encoding.gpus))
    for model in range(encoding.models):
        options = [option for option in problem.table.options if option.model == model]
        cheapest[model, min(options, key=lambda option: option.price_per_request).gpu] = 1.0
    alone = [np.tile(row, (encoding.models, 1)) for row in np.eye(encoding.gpus)]
    wanted = {encoding.split(point).wants.tobytes() for point in greedy_points(problem)}
    assert wanted == {wants.tobytes() for wants in (cheapest, *alone)}


def test_among_the_ends_is_each_model_alone_for_as_little_as_can_be(problem: Problem) -> None:
    rate = problem.context.workload.peak_rate_per_s
    plans = ends(problem)
    assert len({plan.key for plan in plans}) == len(plans)
    for model, name in enumerate(problem.context.model_names):
        alone = [plan for plan in plans if {pool.model for pool in plan.pools} == {name}]
        least = min(price(problem, plan) for plan in alone)
        assert price(problem, alone[0]) == least
        of_one_option = (
            option.replicas_for(rate / FULLEST) * option.price_per_hour
            for option in problem.table.options
            if option.model == model
            and option.replicas_for(rate / FULLEST) * option.gpus
            <= problem.context.supplies[option.gpu].count
        )
        assert least <= min(of_one_option) * (1.0 + 1e-9)


def test_among_the_ends_is_the_best_model_alone_as_large_as_can_be(
    context: Context, limited: Callable[..., Context]
) -> None:
    problem = Problem(limited(context, [3, 4], 20.0))
    moves, options = Moves(problem), problem.table.options
    model = int(problem.context.quality.mean(axis=0).argmax())
    largest: dict[int, int] = {}
    for draft in (draft_of(plan, problem) for plan in ends(problem)):
        if len(draft.placed) == 1:
            index, replicas = draft.placed[0]
            largest[index] = max(replicas, largest.get(index, 0))
    checked = 0
    for index in worthwhile(options):
        if options[index].model == model and moves.fits(((index, 1),)):
            assert moves.fits(((index, largest[index]),))
            assert not moves.fits(((index, largest[index] + 1),))
            checked += 1
    assert checked > 1


def price(problem: Problem, plan: Decision) -> float:
    return sum(problem.table.option(p).price_per_hour * p.replicas for p in plan.pools)


def test_what_a_type_has_not_enough_of_goes_on_to_the_next(problem: Problem) -> None:
    for point in greedy_points(problem):
        wants = problem.encoding.split(point).wants
        decision = problem.decode(point)
        assert isinstance(decision, Decision)
        for model, name in enumerate(("llama-3.1-8b", "llama-3.1-70b")):
            asked = problem.context.supplies[int(np.argmax(wants[model]))]
            elsewhere = [
                pool for pool in decision.pools if pool.model == name and pool.gpu != asked.name
            ]
            taken = sum(pool.gpus for pool in decision.pools if pool.gpu == asked.name)
            assert not elsewhere or taken == asked.count


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
