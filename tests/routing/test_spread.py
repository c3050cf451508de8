import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.routing.prediction import COVERAGE
from boute.routing.spread import fit_spread


@given(st.integers(0, 1000), st.integers(20, 400))
def test_intervals_hold_their_share_of_the_lengths_that_they_are_fitted_on(
    seed: int, rows: int
) -> None:
    rng = np.random.default_rng(seed)
    typical = rng.uniform(50, 500, (rows, 2))
    tokens = typical * np.exp(rng.standard_normal((rows, 2)))
    quality = rng.random((rows, 2))
    found = fit_spread(quality, quality, typical, tokens).around(quality, typical)
    inside = ((tokens >= found.output_low) & (tokens <= found.output_high)).mean(axis=0)
    assert (inside >= COVERAGE).all()
    assert (inside <= COVERAGE + 4 / rows + 1e-9).all()


def test_new_lengths_are_inside_as_often_as_is_said() -> None:
    rng = np.random.default_rng(0)
    typical = rng.uniform(50, 500, (40_000, 1))
    tokens = typical * rng.gamma(2.0, 0.5, (40_000, 1))
    quality = np.full((40_000, 1), 0.5)
    spread = fit_spread(quality[:20_000], quality[:20_000], typical[:20_000], tokens[:20_000])
    found = spread.around(quality[20_000:], typical[20_000:])
    new = tokens[20_000:]
    assert ((new >= found.output_low) & (new <= found.output_high)).mean() == pytest.approx(
        COVERAGE, abs=0.015
    )
    assert found.output_tokens.mean() == pytest.approx(new.mean(), rel=0.05)


def test_the_deviation_of_right_or_wrong_answers_is_that_of_a_coin() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.random((5000, 1))
    came = (rng.random((5000, 1)) < predicted).astype(float)
    ones = np.ones((5000, 1))
    found = fit_spread(predicted, came, ones, ones).around(predicted, ones)
    standard = (came - predicted) / found.quality_sd
    assert (standard**2).mean() == pytest.approx(1.0, abs=0.05)
    assert found.quality_sd == pytest.approx(np.sqrt(predicted * (1 - predicted)), abs=0.06)
