from __future__ import annotations

from collections.abc import Callable
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from boute.context import Context
from boute.optimizer.decoder import FULLEST
from boute.optimizer.options import Option
from boute.optimizer.problem import Problem
from boute.optimizer.seeds import cheapest_placement, greedy_points, placement_points
from boute.plan.decision import Decision

Limited = Callable[[Context, list[int], float | None], Context]


def price_of(counts: dict[Option, int]) -> float:
    return sum(option.price_per_hour * count for option, count in counts.items())


def brute_force(options: list[Option], load: Any, counts: list[int]) -> float | None:
    """Price of the cheapest placement, every one tried."""
    best = None
    most = [counts[option.gpu] // option.gpus for option in options]
    for numbers in product(*(range(n + 1) for n in most)):
        carried, taken = np.zeros(len(load)), [0] * len(counts)
        for option, number in zip(options, numbers, strict=True):
            carried[option.model] += number * option.goodput_per_s
            taken[option.gpu] += number * option.gpus
        if np.all(carried >= load - 1e-9) and all(
            t <= c for t, c in zip(taken, counts, strict=True)
        ):
            price = price_of(dict(zip(options, numbers, strict=True)))
            best = price if best is None else min(best, price)
    return best


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 1.0])
@pytest.mark.parametrize("counts", [[2, 4], [4, 2], [4, 8]], ids=str)
def test_the_placement_is_the_cheapest_there_is(
    problem: Problem, limited: Limited, counts: list[int], share: float
) -> None:
    """Against every placement of a few options; the solver may stop within 1%."""
    context = limited(problem.context, counts, None)
    options = [
        option
        for option in problem.table.options
        if option.pipeline_parallel == 1 and 2 <= option.gpus + option.model * 2 <= 4
    ]
    assert 4 <= len(options) <= 6
    assert {option.model for option in options} == {0, 1}
    small: Any = SimpleNamespace(
        table=SimpleNamespace(options=options), context=context, encoding=problem.encoding
    )
    fractions = np.array([1.0 - share, share])
    load = fractions * context.workload.rate_per_s / 0.8
    found = cheapest_placement(small, fractions, 0.8)
    expected = brute_force(options, load, counts)
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        assert price_of(found) == pytest.approx(expected, rel=0.0101)


def test_seeds_are_points_that_decode(problem: Problem) -> None:
    for points in (greedy_points(problem), placement_points(problem)):
        assert len(points) == len(set(points)) >= 4
        assert any(isinstance(problem.decode(point), Decision) for point in points)


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


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_a_placement_survives_its_encoding(problem: Problem, share: float) -> None:
    """What the decoder makes of the point costs what the integer program found, or less."""
    fractions = np.array([1.0 - share, share])
    counts = cheapest_placement(problem, fractions, FULLEST)
    assert counts is not None
    from boute.optimizer.seeds import _encode

    decision = problem.decode(_encode(problem, fractions, counts, FULLEST))
    assert isinstance(decision, Decision)
    context = problem.context
    cost = sum(p.gpus * context.supply(p.gpu).price_per_hour for p in decision.pools)
    assert cost <= price_of(counts) * 1.05


def test_a_load_beyond_the_inventory_has_no_placement(
    context_of: Callable[..., Context],
) -> None:
    problem = Problem(
        context_of(workload={"trace": "azure-conversation", "duration_s": 20, "rate_scale": 20})
    )
    assert cheapest_placement(problem, np.array([0.0, 1.0]), FULLEST) is None
    assert len(placement_points(problem)) < len(greedy_points(problem))
