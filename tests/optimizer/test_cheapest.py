from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boute.optimizer.archive import Looked
from boute.optimizer.cheapest import SIDE, Cheapest
from boute.optimizer.draft import Draft
from boute.workload.arrays import Floats

POINTS = arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(0, 1.2))


def looked(values: Floats, violation: float = 0.0, name: int = 0) -> Looked:
    return Looked(Draft((name,), ((0, 1),)), values, {}, violation)


@given(POINTS, st.integers(0, 2))
def test_each_box_has_its_cheapest(points: Floats, price: int) -> None:
    cheapest = Cheapest(price)
    expected: dict[tuple[float, ...], float] = {}
    for name, point in enumerate(points):
        cheapest.add(looked(point, name=name))
        if np.all(point < 1.0):
            box = tuple(np.floor(np.delete(point, price) / SIDE))
            expected[box] = min(point[price], expected.get(box, np.inf))
    found = {tuple(np.floor(np.delete(m.values, price) / SIDE)): m.values[price] for m in cheapest}
    assert found == expected


def test_the_cheaper_of_two_alike_is_kept_and_of_two_at_a_price_the_better() -> None:
    cheapest = Cheapest(2)
    for name, values in enumerate([(0.3, 0.3, 0.3), (0.301, 0.301, 0.2999), (0.3, 0.301, 0.2999)]):
        cheapest.add(looked(np.array(values), name=name))
    (kept,) = cheapest
    assert kept.draft.cuts == (2,)


@pytest.mark.parametrize(("values", "violation"), [((0.1, 0.1, 0.1), 0.2), ((0.1, 0.1, 1.0), 0.0)])
def test_what_misses_something_is_not_kept(values: tuple[float, ...], violation: float) -> None:
    cheapest = Cheapest(2)
    cheapest.add(looked(np.array(values), violation))
    assert not list(cheapest)
