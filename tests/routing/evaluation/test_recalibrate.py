import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from boute.routing.evaluation.recalibrate import IDENTITY, calibrated, fit_calibration, logit
from boute.routing.evaluation.reliability import reliability

INSIDE = st.floats(0.0, 1.0)


def test_agrees_with_a_general_optimiser() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.random((300, 1))
    quality = (rng.random((300, 1)) < calibrated(predicted, np.array([[0.5, -0.7]]))).astype(float)

    def loss(line: np.ndarray) -> float:
        p = calibrated(predicted, line[None])[:, 0]
        likelihood = quality[:, 0] @ np.log(p) + (1 - quality[:, 0]) @ np.log(1 - p)
        return -likelihood + 0.5 * float(((line - np.array(IDENTITY)) ** 2).sum())

    best = minimize(loss, np.array(IDENTITY), method="Nelder-Mead", options={"xatol": 1e-7}).x
    assert fit_calibration(predicted, quality)[0] == pytest.approx(best, abs=1e-4)


def test_mends_predictions_that_are_too_sure_and_too_high() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.2, 0.8, (4000, 2))
    quality = (rng.random((4000, 2)) < truth).astype(float)
    sure = 1 / (1 + np.exp(-(3 * logit(truth) + 1)))
    lines = fit_calibration(sure[:2000], quality[:2000])
    assert lines[:, 0] == pytest.approx(1 / 3, abs=0.06)
    for model in range(2):
        before = reliability(sure[2000:, model], quality[2000:, model])
        after = reliability(calibrated(sure, lines)[2000:, model], quality[2000:, model])
        assert before.ece > 0.15
        assert after.ece < 0.05
        assert after.brier < before.brier


@given(arrays(np.float64, (8, 2), elements=INSIDE), arrays(np.float64, (8, 2), elements=INSIDE))
def test_any_rows_give_finite_lines_that_keep_the_order(
    predicted: np.ndarray, quality: np.ndarray
) -> None:
    lines = fit_calibration(predicted, quality)
    assert np.isfinite(lines).all()
    assert (lines[:, 0] > 0).all()
    after = calibrated(predicted, lines)
    assert ((after >= 0) & (after <= 1)).all()
    order = np.argsort(predicted[:, 0], kind="stable")
    assert (np.diff(after[order, 0]) >= 0).all()


def test_a_model_without_rows_is_left_as_it_is() -> None:
    predicted = np.full((5, 2), 0.3)
    quality = np.stack([np.ones(5), np.full(5, np.nan)], axis=1)
    lines = fit_calibration(predicted, quality)
    assert lines[1] == pytest.approx(IDENTITY)
    assert calibrated(predicted, lines)[0, 0] > 0.5
    assert calibrated(predicted, lines)[0, 1] == pytest.approx(0.3)
