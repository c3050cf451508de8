"""Windows that stand for a trace: what they hold, and that their weights add up to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.workload.arrays import Trace
from boute.workload.arrivals import diurnal, on_off
from boute.workload.thinning import THIN_ABOVE, thin
from boute.workload.windows import HALF_SAMPLES, STRATA, Thinning


def trace_of(arrival_s: np.ndarray, duration_s: float) -> Trace:
    """Requests that can be told apart: their input tokens count up."""
    tokens = np.arange(1, len(arrival_s) + 1)
    return Trace("made", arrival_s, tokens, tokens[::-1].copy(), duration_s)


def day(seed: int = 0, rate_per_s: float = 0.3) -> Trace:
    rng = np.random.default_rng(seed)
    at = diurnal(rate_per_s, 86_400.0, period_s=86_400.0, amplitude=0.8, rng=rng)
    return trace_of(at, 86_400.0)


def thinned(trace: Trace, thin_to: int, seed: int = 0) -> tuple[Trace, Thinning]:
    found, thinning = thin(trace, thin_to, seed)
    assert thinning is not None
    return found, thinning


def test_a_short_trace_stays_as_it_is() -> None:
    trace = day()
    assert len(trace) < THIN_ABOVE
    assert thin(trace, None, 0) == (trace, None)
    assert thin(trace, len(trace), 0) == (trace, None)


def test_a_trace_in_one_burst_stays_as_it_is() -> None:
    at = np.sort(np.append(np.random.default_rng(0).random(5000), 86_400.0))
    trace = trace_of(at, 86_400.0)
    assert thin(trace, 1000, 0) == (trace, None)


@given(
    seed=st.integers(0, 2**32),
    thin_to=st.integers(1000, 8000),
    bursts=st.booleans(),
)
def test_windows_are_stretches_of_the_trace_that_stand_for_all_of_it(
    seed: int, thin_to: int, bursts: bool
) -> None:
    trace = day(seed)
    if bursts:
        rng = np.random.default_rng(seed)
        at = on_off(0.3, 86_400.0, on_s=300, off_s=900, burst_factor=4.0, rng=rng)
        trace = trace_of(at, 86_400.0)
    found, thinning = thinned(trace, thin_to, seed)
    assert thinning.requests == len(trace)
    assert thinning.duration_s == trace.duration_s
    assert len(thinning.windows) == 2 * STRATA + 1
    counted: list[int] = []
    for window in thinning.windows:
        assert window.first <= window.counted <= window.uncounted <= window.last
        part = slice(window.first, window.last)
        mine = found.input_tokens[part] - 1
        assert np.array_equal(mine, np.arange(mine[0], mine[0] + len(mine)))
        assert np.array_equal(trace.output_tokens[mine], found.output_tokens[part])
        shift = found.arrival_s[part] - trace.arrival_s[mine]
        assert np.ptp(shift) < 1e-6
        counted += found.input_tokens[window.counted : window.uncounted].tolist()
    assert len(set(counted)) == len(counted)
    requests = np.array([window.requests for window in thinning.windows])
    for weights in (thinning.weights(), *thinning.half_samples()):
        assert weights @ requests == pytest.approx(len(trace))


@given(seed=st.integers(0, 1000))
def test_about_as_many_requests_as_asked_for(seed: int) -> None:
    found, _ = thinned(day(seed), 4000, seed)
    assert 3000 < len(found) < 5500


def test_the_busiest_window_is_there_and_stands_for_itself() -> None:
    trace = day()
    at = np.sort(np.append(trace.arrival_s, np.linspace(30_000.0, 30_100.0, 400)))
    found, thinning = thinned(trace_of(at, 86_400.0), 2000)
    busiest = [w for w in thinning.windows if w.stratum is None]
    assert len(busiest) == 1
    first = found.input_tokens[busiest[0].counted] - 1
    last = found.input_tokens[busiest[0].uncounted - 1] - 1
    assert at[first] < 30_100.0
    assert at[last] > 30_000.0
    assert thinning.weights()[thinning.windows.index(busiest[0])] == 1.0
    assert thinning.peak_rate_per_s > 2.0 * len(at) / 86_400.0


def test_half_samples_take_one_window_of_each_stratum_and_balance() -> None:
    _, thinning = thinned(day(), 4000)
    halves = thinning.half_samples()
    assert halves.shape == (HALF_SAMPLES, 2 * STRATA + 1)
    for stratum in range(STRATA):
        pair = [i for i, w in enumerate(thinning.windows) if w.stratum == stratum]
        assert len(pair) == 2
        taken = halves[:, pair] > 0
        assert (taken.sum(axis=1) == 1).all()
        assert (taken.sum(axis=0) == HALF_SAMPLES / 2).all()
    first = [[w.stratum for w in thinning.windows].index(stratum) for stratum in range(STRATA)]
    signs = np.where(halves[:, first] > 0, 1, -1)
    assert np.array_equal(signs.T @ signs, HALF_SAMPLES * np.eye(STRATA))


def test_the_same_seed_takes_the_same_windows_and_another_takes_others() -> None:
    trace = day()
    first, again, other = (thinned(trace, 2000, seed)[0] for seed in (1, 1, 2))
    assert first.input_tokens.tobytes() == again.input_tokens.tobytes()
    assert first.input_tokens.tobytes() != other.input_tokens.tobytes()
