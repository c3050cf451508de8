from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.context import Supply
from boute.optimizer.inventory import Inventory
from boute.profiles.catalog import load_gpu


@pytest.fixture(scope="module", autouse=True)
def supply() -> Supply:
    from pathlib import Path

    return Supply("l40s", load_gpu("l40s", Path()), 8, 1.0)


def supply_of(supply: Supply, count: int, node_gpus: int) -> Supply:
    card = supply.card.model_copy(update={"node_gpus": node_gpus})
    return replace(supply, card=card, count=count)


def fits(sizes: tuple[int, ...], nodes: list[int]) -> bool:
    """Whether replicas of these sizes go into the nodes in some way: every way is tried."""
    for places in product(range(len(nodes)), repeat=len(sizes)):
        free = list(nodes)
        for size, place in zip(sizes, places, strict=True):
            free[place] -= size
        if min(free) >= 0:
            return True
    return not sizes


@given(
    count=st.integers(1, 12),
    node_gpus=st.integers(1, 5),
    orders=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), max_size=3),
)
def test_what_was_placed_fits_into_nodes(
    supply: Supply, count: int, node_gpus: int, orders: list[tuple[int, int]]
) -> None:
    inventory = Inventory([supply_of(supply, count, node_gpus)])
    nodes = [node_gpus] * (count // node_gpus) + [count % node_gpus]
    sizes: tuple[int, ...] = ()
    for size, replicas in orders:
        placed = inventory.take(0, size, replicas)
        assert 0 <= placed <= replicas
        sizes += (size,) * placed
        assert inventory.left(0) == count - sum(sizes)
        if len(sizes) <= 5:
            assert fits(sizes, nodes)


@given(count=st.integers(1, 14), node_gpus=st.integers(1, 5), size=st.integers(1, 6))
def test_replicas_of_one_size_fill_every_node(
    supply: Supply, count: int, node_gpus: int, size: int
) -> None:
    inventory = Inventory([supply_of(supply, count, node_gpus)])
    whole, rest = divmod(count, node_gpus)
    assert inventory.take(0, size, 100) == whole * (node_gpus // size) + rest // size
    assert inventory.take(0, size, 1) == 0


def test_a_replica_goes_where_it_leaves_least_room(supply: Supply) -> None:
    inventory = Inventory([supply_of(supply, 12, 8)])
    assert inventory.take(0, 2, 1) == 1
    assert inventory.take(0, 8, 1) == 1
    assert inventory.left(0) == 2


def test_types_are_counted_apart(supply: Supply) -> None:
    inventory = Inventory([supply_of(supply, 4, 4), supply_of(supply, 2, 2)])
    assert inventory.take(1, 2, 3) == 1
    assert (inventory.left(0), inventory.left(1)) == (4, 0)
