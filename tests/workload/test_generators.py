"""A generator of a spec becomes a trace with its lengths, or a clear refusal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.errors import DataError
from boute.spec.workload import Generator, LengthDistribution
from boute.workload.generators import generate
from boute.workload.lengths import from_quantiles, lognormal, table_mean


def generator(**changes: object) -> Generator:
    fields: dict[str, object] = {
        "rate_per_s": 5.0,
        "duration_s": 200.0,
        "input_tokens": {"median": 800, "sigma": 1.0, "maximum": 8000},
        "output_tokens": {"median": 120, "sigma": 0.6, "minimum": 4, "maximum": 1000},
    }
    return Generator.model_validate(fields | changes)


@pytest.mark.parametrize("arrivals", ["poisson", "gamma", "on-off", "diurnal"])
def test_a_trace_of_the_asked_shape(arrivals: str) -> None:
    trace = generate(generator(arrivals=arrivals, burst_factor=2.0), np.random.default_rng(0))
    again = generate(generator(arrivals=arrivals, burst_factor=2.0), np.random.default_rng(0))
    other = generate(generator(arrivals=arrivals, burst_factor=2.0), np.random.default_rng(1))
    assert trace.name == arrivals
    assert trace.duration_s == 200.0
    assert trace.rate_per_s == pytest.approx(5.0, rel=0.5)
    for column in ("arrival_s", "input_tokens", "output_tokens"):
        assert getattr(trace, column).tobytes() == getattr(again, column).tobytes()
    assert trace.arrival_s.tobytes() != other.arrival_s.tobytes()


def test_a_process_without_requests_is_refused() -> None:
    with pytest.raises(DataError, match=r"workload\.generator: makes no request in 1 s"):
        generate(generator(rate_per_s=1e-9, duration_s=1.0), np.random.default_rng(0))


def test_far_too_many_requests_are_refused() -> None:
    with pytest.raises(DataError, match="would make 1e\\+12 requests"):
        generate(generator(rate_per_s=1e9, duration_s=1000.0), np.random.default_rng(0))


def test_a_cv_beyond_reason_is_refused() -> None:
    with pytest.raises(DataError, match=r"workload\.generator\.cv: should be at most 30"):
        generate(generator(arrivals="gamma", cv=1e6), np.random.default_rng(0))


@settings(max_examples=40, deadline=None)
@given(
    median=st.floats(1e-300, 1e300),
    sigma=st.floats(0, 5),
    minimum=st.integers(1, 1000),
    span=st.integers(0, 100_000),
    seed=st.integers(0, 2**32),
)
def test_lengths_stay_within_their_bounds(
    median: float, sigma: float, minimum: int, span: int, seed: int
) -> None:
    lengths = LengthDistribution(
        median=median, sigma=sigma, minimum=minimum, maximum=minimum + span
    )
    drawn = lognormal(lengths, 200, np.random.default_rng(seed))
    assert drawn.dtype == np.int64
    assert drawn.min() >= minimum
    assert drawn.max() <= minimum + span


def test_lengths_are_lognormal() -> None:
    lengths = LengthDistribution(median=500, sigma=0.7, maximum=10_000_000)
    logs = np.log(lognormal(lengths, 100_000, np.random.default_rng(2)))
    assert np.median(logs) == pytest.approx(np.log(500), abs=0.01)
    assert logs.std() == pytest.approx(0.7, rel=0.01)


def test_no_spread_is_a_constant() -> None:
    drawn = lognormal(LengthDistribution(median=256), 50, np.random.default_rng(0))
    assert set(drawn.tolist()) == {256}


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.floats(0, 100), min_size=2, max_size=12),
    seed=st.integers(0, 2**32),
)
def test_a_table_gives_back_its_quantiles_and_mean(steps: list[float], seed: int) -> None:
    grid = np.linspace(0, 1, len(steps))
    values = np.cumsum(steps)
    np.testing.assert_array_equal(from_quantiles(grid, grid, values), values)
    uniform = np.linspace(0, 1, 20_001)
    drawn = from_quantiles(uniform, grid, values)
    assert np.trapezoid(drawn, uniform) == pytest.approx(table_mean(grid, values), rel=1e-3)
    rows = np.random.default_rng(seed).integers(0, 2, len(uniform))
    both = from_quantiles(uniform, grid, np.stack([values, values + 7]), rows)
    np.testing.assert_allclose(both, drawn + 7 * rows, rtol=1e-9, atol=1e-9)
