from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.optimizer.fidelity.window import window_of
from boute.workload.arrays import Floats, Workload


def workload(arrival_s: Floats) -> Workload:
    n = len(arrival_s)
    number = np.arange(1, n + 1)
    return Workload(
        models=("a",),
        arrival_s=arrival_s,
        input_tokens=number,
        output_tokens=number[:, None],
        score=number / n,
        row=number - 1,
        duration_s=float(arrival_s[-1]) + 1.0,
    )


@given(st.lists(st.floats(0.0, 50.0), min_size=3, max_size=200), st.integers(2, 60))
def test_a_window_is_requests_in_a_row(gaps: list[float], longest: int) -> None:
    whole = workload(np.cumsum(gaps))
    window = window_of(whole, longest)
    if len(whole) <= longest:
        assert window is whole
        return
    assert len(window) == longest
    assert np.all(np.diff(window.row) == 1)
    start = int(window.row[0])
    assert window.arrival_s == pytest.approx(
        whole.arrival_s[start : start + longest] - whole.arrival_s[start], abs=1e-6
    )
    assert window.duration_s >= window.arrival_s[-1]


def test_of_quiet_and_busy_times_the_busy_ones_stand_for_the_whole() -> None:
    """Nine requests in ten come in a tenth of the time, so that is where most find themselves."""
    quiet = np.linspace(0.0, 900.0, 200, endpoint=False)
    busy = np.linspace(900.0, 1000.0, 1800)
    window = window_of(workload(np.concatenate([quiet, busy])), 300)
    assert window.rate_per_s == pytest.approx(18.0, rel=0.15)
