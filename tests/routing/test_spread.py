import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.routing.prediction import COVERAGE
from boute.routing.spread import fit_spread, reach_of


@given(st.integers(0, 1000), st.integers(20, 400))
def test_intervals_hold_their_share_of_the_lengths_that_they_are_fitted_on(
    seed: int, rows: int
) -> None:
    rng = np.random.default_rng(seed)
    typical = rng.uniform(50, 500, (rows, 2))
    tokens = typical * np.exp(rng.standard_normal((rows, 2)))
    quality = rng.random((rows, 2))
    reach = rng.uniform(1.0, 3.0, rows)
    found = fit_spread(quality, quality, typical, tokens, reach).around(quality, typical, reach)
    inside = ((tokens >= found.output_low) & (tokens <= found.output_high)).mean(axis=0)
    assert (inside >= COVERAGE).all()
    assert (inside <= COVERAGE + 4 / rows + 1e-9).all()


def test_new_lengths_are_inside_as_often_as_is_said() -> None:
    rng = np.random.default_rng(0)
    typical = rng.uniform(50, 500, (40_000, 1))
    tokens = typical * rng.gamma(2.0, 0.5, (40_000, 1))
    quality = np.full((40_000, 1), 0.5)
    reach = np.ones(40_000)
    old, later = slice(20_000), slice(20_000, None)
    spread = fit_spread(quality[old], quality[old], typical[old], tokens[old], reach[old])
    found = spread.around(quality[later], typical[later], reach[later])
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
    alike = np.ones(5000)
    found = fit_spread(predicted, came, ones, ones, alike).around(predicted, ones, alike)
    standard = (came - predicted) / found.quality_sd
    assert (standard**2).mean() == pytest.approx(1.0, abs=0.05)
    assert found.quality_sd == pytest.approx(np.sqrt(predicted * (1 - predicted)), abs=0.06)


def test_a_query_unlike_the_table_has_a_wider_interval_and_the_same_mean() -> None:
    rng = np.random.default_rng(0)
    figures = np.vstack([rng.standard_normal((4000, 6)), rng.standard_normal((1000, 6)) * 3.0])
    reach = reach_of(figures)
    assert reach.min() >= 1.0
    assert reach[4000:].mean() > 1.5 * reach[:4000].mean()
    tokens = 200.0 * np.exp(0.3 * reach * rng.standard_normal(5000))[:, None]
    typical, quality = np.full((5000, 1), 200.0), np.full((5000, 1), 0.5)
    # Fitted on queries of the usual kind alone.
    usual = slice(4000)
    spread = fit_spread(quality[usual], quality[usual], typical[usual], tokens[usual], reach[usual])
    found = spread.around(quality, typical, reach)
    inside = (tokens >= found.output_low) & (tokens <= found.output_high)
    assert inside[4000:].mean() == pytest.approx(COVERAGE, abs=0.04)
    assert np.ptp(found.output_tokens) == 0
    width = np.log(found.output_high / found.output_low)[:, 0]
    assert width / reach == pytest.approx(width[0] / reach[0])


def test_without_figures_all_queries_are_alike() -> None:
    assert reach_of(np.zeros((3, 0))).tolist() == [1.0, 1.0, 1.0]
