"""What non-negative least squares has to be, told by its own conditions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.least_squares import non_negative


@given(st.integers(0, 2**32), st.integers(4, 12), st.integers(1, 4))
def test_nothing_is_negative_and_no_step_makes_it_better(seed: int, count: int, terms: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.uniform(0.0, 1.0, (count, terms)) * 10.0 ** random.integers(-9, 9, terms)
    values = random.normal(size=count)
    found = non_negative(rows, values)
    assert (found >= 0.0).all()
    # The gradient, of columns of one length: none downhill, and flat where a term is used.
    downhill = rows.T @ (values - rows @ found) / np.linalg.norm(rows, axis=0)
    assert (downhill <= 1e-7).all()
    assert downhill[found > 0.0] == pytest.approx(0.0, abs=1e-7)


def test_a_column_of_nothing_gets_nothing() -> None:
    rows = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    assert non_negative(rows, np.array([2.0, 4.0, 6.0])) == pytest.approx([2.0, 0.0])
