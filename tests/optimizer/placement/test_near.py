"""The cheapest placement within so many moves, against all placements."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from boute.context import Context
from boute.optimizer.options import Option
from boute.optimizer.placement.build import build_cheapest
from boute.optimizer.placement.decode import placement_of
from boute.optimizer.placement.near import build_near
from boute.optimizer.placement.solve import solve
from boute.optimizer.problem import Problem

FULLNESS = 0.9


@pytest.fixture(scope="module")
def few(context_of: Callable[..., Context], limited: Callable[..., Context]) -> Problem:
    return Problem(limited(context_of(models=["llama-3.1-8b"]), [3, 2], None))


def all_within(few: Problem, held: dict[Option, int], most: int) -> list[dict[Option, int]]:
    """Every placement that carries the load, has room and moves so many GPUs at most."""
    options, context = few.table.options, few.context
    load = context.workload.rate_per_s
    found = []
    counts = [range(context.supplies[o.gpu].count // o.gpus + 1) for o in options]
    for replicas in product(*counts):
        placed = dict(zip(options, replicas, strict=True))
        carries = sum(n * o.goodput_per_s for o, n in placed.items()) * FULLNESS
        moved = sum(abs(n - held.get(o, 0)) * o.gpus for o, n in placed.items())
        taken = [sum(n * o.gpus for o, n in placed.items() if o.gpu == g) for g in (0, 1)]
        fits = all(t <= s.count for t, s in zip(taken, context.supplies, strict=True))
        if carries >= load and moved <= most and fits:
            found.append(placed)
    return found


def price(placement: dict[Option, int]) -> float:
    return sum(n * option.price_per_hour for option, n in placement.items())


@pytest.mark.parametrize("most", [0, 1, 2, 3, 5])
def test_it_is_the_cheapest_of_all_within_the_limit(few: Problem, most: int) -> None:
    options = few.table.options
    load = np.array([few.context.workload.rate_per_s])
    cheapest = build_cheapest(options, few.context.supplies, load, FULLNESS)
    for runs in ({options[0]: 2}, {options[-1]: 1}, {options[0]: 3, options[-1]: 1}):
        program = build_near(cheapest, runs, 0, most)
        found = placement_of(program, solve(program, gap=0.0))
        every = all_within(few, runs, most)
        assert (found is None) == (not every)
        if found is not None:
            assert price(found) == pytest.approx(min(map(price, every)))


def test_what_stops_anyway_counts(few: Problem) -> None:
    options = few.table.options
    load = np.array([few.context.workload.rate_per_s])
    cheapest = build_cheapest(options, few.context.supplies, load, FULLNESS)
    program = build_near(cheapest, {options[0]: 3}, 2, 1)
    assert placement_of(program, solve(program)) is None
