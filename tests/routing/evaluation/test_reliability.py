import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boute.routing.evaluation.reliability import brier, reliability

SHARES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])


@given(arrays(np.float64, 40, elements=SHARES), arrays(np.float64, 40, elements=SHARES))
def test_bins_hold_every_row_once_and_ece_is_their_mean_distance(
    predicted: np.ndarray, quality: np.ndarray
) -> None:
    found = reliability(predicted, quality, bins=4)
    assert sum(found.rows) == 40
    assert len(found.rows) <= 4
    order = sorted(range(40), key=lambda i: predicted[i])
    distance, start = 0.0, 0
    for index, rows in enumerate(found.rows):
        members = order[start : start + rows]
        forecast, seen = np.mean(predicted[members]), np.mean(quality[members])
        # Where predictions are equal, which of them come first is the sort's choice, not the bin's.
        assert found.predicted[index] == pytest.approx(forecast)
        assert found.seen[index] == pytest.approx(seen)
        distance += rows / 40 * abs(forecast - seen)
        start += rows
    assert found.ece == pytest.approx(distance)


def test_a_true_probability_is_calibrated_up_to_chance_and_a_sharper_one_is_not() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(20_000)
    came = (rng.random(20_000) < truth).astype(float)
    good = reliability(truth, came)
    assert good.ece < 2 * good.ece_by_chance < 0.02
    assert good.brier == pytest.approx(1 / 6, abs=0.005)
    assert reliability(np.where(truth > 0.5, 0.99, 0.01), came).ece > 0.2


def test_what_chance_shows_is_what_it_shows() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(200):
        truth = rng.random(500)
        found.append(reliability(truth, (rng.random(500) < truth).astype(float)))
    assert np.mean([r.ece for r in found]) == pytest.approx(
        np.mean([r.ece_by_chance for r in found]), rel=0.1
    )


def test_brier_and_no_rows() -> None:
    assert brier(np.array([0.0, 0.5]), np.array([1.0, 0.5])) == 0.5
    with pytest.raises(ValueError, match="no rows"):
        reliability(np.zeros(0), np.zeros(0))
