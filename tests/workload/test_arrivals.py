"""Arrival processes have the rate and the variability they are asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.workload import arrivals
from boute.workload.arrays import Floats


def mean_and_error(counts: list[int]) -> tuple[float, float]:
    values = np.array(counts, dtype=float)
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))


def draw(kind: str, seed: int, rate: float = 2.0, duration: float = 120.0) -> Floats:
    rng = np.random.default_rng(seed)
    if kind == "poisson":
        return arrivals.poisson(rate, duration, rng)
    if kind == "gamma":
        return arrivals.gamma(rate, duration, 3.0, rng)
    if kind == "on-off":
        return arrivals.on_off(rate, duration, on_s=5, off_s=15, burst_factor=3, rng=rng)
    return arrivals.diurnal(rate, duration, period_s=60, amplitude=0.9, rng=rng)


KINDS = ["poisson", "gamma", "on-off", "diurnal"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_count_is_rate_times_duration(kind: str) -> None:
    mean, error = mean_and_error([len(draw(kind, seed)) for seed in range(400)])
    assert abs(mean - 240) < 4 * error


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), rate=st.floats(0.01, 50), duration=st.floats(0.1, 300))
def test_arrivals_ascend_within_the_window(
    kind: str, seed: int, rate: float, duration: float
) -> None:
    at = draw(kind, seed, rate, duration)
    assert np.all(np.diff(at) >= 0)
    assert len(at) == 0 or (at[0] >= 0 and at[-1] <= duration)
    np.testing.assert_array_equal(at, draw(kind, seed, rate, duration))


@pytest.mark.parametrize("cv", [0.1, 0.5, 1.0, 2.0, 5.0])
def test_gamma_gaps_have_the_cv(cv: float) -> None:
    gaps = np.diff(arrivals.gamma(10.0, 20_000.0, cv, np.random.default_rng(1)))
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.04)


def test_gamma_without_variation_is_a_clock() -> None:
    gaps = np.diff(arrivals.gamma(4.0, 50.0, 1e-9, np.random.default_rng(1)))
    np.testing.assert_allclose(gaps, 0.25, rtol=1e-4)


def test_gamma_counts_are_stationary() -> None:
    first, second = [], []
    for seed in range(2000):
        at = arrivals.gamma(2.0, 4.0, 4.0, np.random.default_rng(seed))
        first.append(int((at < 2).sum()))
        second.append(int((at >= 2).sum()))
    for counts in (first, second):
        mean, error = mean_and_error(counts)
        assert abs(mean - 4.0) < 4 * error


def test_bursts_have_their_rate_and_the_quiet_has_the_rest() -> None:
    at = arrivals.on_off(
        10.0, 10_000.0, on_s=20, off_s=60, burst_factor=3.0, rng=np.random.default_rng(3)
    )
    in_burst = at % 80 >= 60
    assert in_burst.sum() / (125 * 20) == pytest.approx(30.0, rel=0.02)
    assert (~in_burst).sum() / (125 * 60) == pytest.approx(10 / 3, rel=0.03)


def test_full_bursts_leave_the_quiet_empty() -> None:
    at = arrivals.on_off(
        5.0, 1000.0, on_s=10, off_s=30, burst_factor=4.0, rng=np.random.default_rng(3)
    )
    assert np.all(at % 40 >= 30 - 1e-9)


def test_the_day_follows_its_sinusoid() -> None:
    at = arrivals.diurnal(10.0, 8000.0, period_s=800, amplitude=0.8, rng=np.random.default_rng(5))
    counts = np.histogram(at % 800, np.linspace(0, 800, 9))[0] / (10 * 100)
    middle = (np.arange(8) + 0.5) * 100
    averaged = np.sinc(1 / 8)  # of a sine over an eighth of its period
    expected = 10 * (1 + 0.8 * averaged * np.sin(2 * np.pi * middle / 800))
    np.testing.assert_allclose(counts, expected, rtol=0.12)


def test_rescaling_puts_no_arrival_where_the_rate_is_zero() -> None:
    edges = np.array([0.0, 10.0, 20.0, 30.0])
    cumulative = np.array([0.0, 100.0, 100.0, 300.0])
    at = arrivals.rescaled(
        arrivals.poisson(1.0, 300.0, np.random.default_rng(0)), edges, cumulative
    )
    counts = np.histogram(at, edges)[0]
    assert counts[1] == 0
    assert counts[0] == pytest.approx(100, abs=40)
    assert counts[2] == pytest.approx(200, abs=60)
