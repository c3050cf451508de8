from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boute.metrics import STATISTICS
from boute.statistics import percentiles, statistic
from boute.workload.arrays import Floats

VALUES = arrays(np.float64, st.integers(1, 60), elements=st.floats(0.0, 1e6))


@given(VALUES)
def test_percentiles_are_numpys(values: Floats) -> None:
    for name in STATISTICS:
        if name == "mean":
            assert statistic(values, name) == pytest.approx(values.mean())
        else:
            assert statistic(values, name) == pytest.approx(np.percentile(values, int(name[1:])))


def test_nothing_has_a_statistic_of_zero() -> None:
    assert statistic(np.empty(0), "p95") == statistic(np.empty(0), "mean") == 0.0


@given(VALUES)
def test_several_percentiles_are_numpys_to_the_last_bit(values: Floats) -> None:
    asked = (0.0, 12.5, 50.0, 90.0, 95.0, 99.0, 100.0)
    assert percentiles(values, asked) == np.percentile(values, asked).tolist()
