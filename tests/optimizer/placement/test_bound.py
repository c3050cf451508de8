from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.context import Context
from boute.optimizer.decoder import FULLEST
from boute.optimizer.placement.bound import cost_bound
from boute.optimizer.placement.build import Program, build_cheapest
from boute.optimizer.placement.solve import Solution, solve
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.plan.decision import Decision

FLOORS = (None, 0.6, 0.72)


@pytest.fixture(scope="module", params=FLOORS, ids=str)
def floored(request: pytest.FixtureRequest, context_of: Callable[..., Context]) -> Problem:
    return Problem(context_of(targets={"quality_min": request.param, "ttft_p95_s": 2.0}))


def test_it_is_the_cheapest_over_all_routings(floored: Problem) -> None:
    """Against one program a routing, for every routing in whole percents."""
    context = floored.context
    floor = context.spec.targets.quality_min or 0.0
    best = np.inf
    for percent in range(101):
        routing = floored.decoder.routing_for(np.array([percent, 100 - percent]) / 100)
        if floored.estimator.quality_of(routing)[0] >= floor:
            load = np.array(routing.fractions) * context.workload.rate_per_s
            program = build_cheapest(floored.table.options, context.supplies, load, FULLEST)
            best = min(best, solve(program, gap=0.0, seconds=5.0).bound)
    bound = cost_bound(floored, seconds=20.0)
    assert bound.relaxed <= bound.whole
    assert bound.whole == pytest.approx(best, rel=2e-3)
    assert bound.whole <= best * (1.0 + 1e-6)


def test_no_point_decodes_to_a_cheaper_plan(floored: Problem) -> None:
    bound = cost_bound(floored).whole
    floor = floored.context.spec.targets.quality_min or 0.0
    checked = 0
    for point in sobol_points(floored.encoding.dimensions, 256, seed=5):
        found = floored.decode(point)
        if not isinstance(found, Decision) or floored.estimator.quality(found)[0] < floor:
            continue
        checked += 1
        price = sum(p.gpus * floored.context.supply(p.gpu).price_per_hour for p in found.pools)
        assert price >= bound * (1.0 - 1e-6)
    assert checked >= 20


def test_a_floor_that_no_routing_keeps_has_no_plan(context_of: Callable[..., Context]) -> None:
    problem = Problem(context_of(targets={"quality_min": 0.99}))
    assert cost_bound(problem).whole == np.inf


def test_split_paths_give_a_bound_where_whole_ones_take_too_long(
    context_of: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ["llama-3.1-8b", "llama-3.1-70b", {"name": "llama-3.1-405b", "weights": "fp8"}]
    problem = Problem(
        context_of(models=models, gpus={"h100-sxm": {"count": 16}, "l40s": {"count": 8}})
    )
    whole = cost_bound(problem, seconds=20.0)

    def hasty(program: Program, **limits: float) -> Solution:
        return Solution(None, -np.inf) if program.whole.all() else solve(program, **limits)

    monkeypatch.setattr("boute.optimizer.placement.bound.solve", hasty)
    split = cost_bound(problem, seconds=20.0)
    assert 0.0 < split.relaxed == whole.relaxed
    assert split.relaxed < split.whole <= whole.whole * (1.0 + 1e-3)
