from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.context import Context, Supply
from boute.optimizer.assemble import price_per_hour
from boute.optimizer.enumeration import (
    compositions,
    count_compositions,
    count_placements,
    placements,
)
from boute.optimizer.inventory import Inventory, rooms_by_size
from boute.optimizer.problem import Problem

Limited = Callable[[Context, list[int], float | None], Context]


@pytest.fixture(scope="session")
def supply(context: Context) -> Supply:
    return context.supplies[0]


@pytest.mark.parametrize(("parts", "steps"), [(1, 5), (2, 4), (3, 10), (4, 3)])
def test_compositions_are_all_fractions_in_whole_steps(parts: int, steps: int) -> None:
    found = [tuple(fractions) for fractions in compositions(parts, steps)]
    expected = {
        tuple(n / steps for n in numbers)
        for numbers in product(range(steps + 1), repeat=parts)
        if sum(numbers) == steps
    }
    assert set(found) == expected
    assert len(found) == len(expected) == count_compositions(parts, steps)


@given(
    count=st.integers(1, 12),
    node=st.integers(1, 8),
    sizes=st.lists(st.sampled_from([1, 2, 4, 8]), max_size=8),
)
def test_rooms_by_size_say_whether_replicas_find_room(
    supply: Supply, count: int, node: int, sizes: list[int]
) -> None:
    """Against placing them, the largest first, one by one."""
    card = supply.card.model_copy(update={"node_gpus": node})
    supply = replace(supply, card=card, count=count)
    inventory = Inventory([supply])
    fits = all(inventory.take(0, size, 1) for size in sorted(sizes, reverse=True))
    rooms = rooms_by_size(supply)
    says = all(
        sum(size for size in sizes if size >= least) <= rooms.get(least, 0) for least in set(sizes)
    )
    assert fits == says


@pytest.mark.parametrize("budget", [None, 9.0])
@pytest.mark.parametrize("models", [(0,), (1,), (0, 1)])
def test_placements_are_those_of_brute_force(
    problem: Problem, limited: Limited, models: tuple[int, ...], budget: float | None
) -> None:
    context = limited(problem.context, [2, 3], budget)
    options = [o for o in problem.table.options if o.gpus <= 2 and o.model in models]
    found = list(placements(problem.table.options, models, context.supplies, budget))
    expected = []
    for numbers in product(*(range(3 // option.gpus + 1) for option in options)):
        placed = {o: n for o, n in zip(options, numbers, strict=True) if n}
        if {o.model for o in placed} != set(models) or price_per_hour(placed) > (budget or np.inf):
            continue
        inventory = Inventory(context.supplies)
        largest_first = sorted(placed, key=lambda option: -option.gpus)
        if all(inventory.take(o.gpu, o.gpus, placed[o]) == placed[o] for o in largest_first):
            expected.append(placed)
    assert len(found) == len(expected)
    assert {frozenset(p.items()) for p in found} == {frozenset(p.items()) for p in expected}
    if budget is None:
        small = [option for option in problem.table.options if option.gpus <= 2]
        assert count_placements(small, models, context.supplies) == len(found)


def test_a_model_without_options_has_no_placement(problem: Problem) -> None:
    options = [option for option in problem.table.options if option.model == 0]
    supplies: Any = problem.context.supplies
    assert not list(placements(options, (0, 1), supplies, 3.0))
    assert count_placements(options, (0, 1), supplies) == 0
