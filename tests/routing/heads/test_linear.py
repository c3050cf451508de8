import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from boute.routing.encoders.encoder import Encoded
from boute.routing.heads.linear import (
    fit_lines,
    fit_penalised,
    logistic,
    weighted_sums,
)


@pytest.fixture
def encoded() -> Encoded:
    rng = np.random.default_rng(0)
    grams = tuple((np.sort(rng.choice(40, 5, replace=False)), rng.random(5)) for _ in range(300))
    return Encoded(rng.standard_normal((300, 3)), grams)


def test_it_is_the_logistic_regression_of_scikit_learn(encoded: Encoded) -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random((300, 2)) < logistic(encoded.dense[:, :2])).astype(float)
    found = fit_penalised(Encoded(encoded.dense), labels, 2.0, 2.0)
    for column in range(2):
        model = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000)
        model.fit(encoded.dense, labels[:, column])
        assert found.weights[:, column] == pytest.approx(model.coef_[0], abs=1e-3)
        assert found.intercepts[column] == pytest.approx(model.intercept_[0], abs=1e-3)


def test_graded_labels_are_met_in_the_mean(encoded: Encoded) -> None:
    labels = np.random.default_rng(2).random((300, 2))
    found = fit_penalised(encoded, labels, 1.0, 10.0)
    assert found.quality(encoded).mean(axis=0) == pytest.approx(labels.mean(axis=0), abs=1e-3)


def test_a_constant_label_is_kept(encoded: Encoded) -> None:
    labels = np.tile([0.0, 0.25, 1.0], (300, 1))
    rates = fit_penalised(encoded, labels, 1.0, 10.0).quality(encoded)
    assert rates == pytest.approx(labels, abs=1e-5)


def test_words_are_held_back_more_than_figures(encoded: Encoded) -> None:
    labels = np.array([[float(7 in grams)] for grams, _ in encoded.grams or ()])
    free = fit_penalised(encoded, labels, 1.0, 0.1)
    held = fit_penalised(encoded, labels, 1.0, 100.0)
    assert abs(held.weights[7, 0]) < 0.2 * abs(free.weights[7, 0])


def test_lines_follow_what_they_are_fitted_to(encoded: Encoded) -> None:
    values = np.stack([3.0 + encoded.dense[:, 0], np.full(300, 5.0)], axis=1)
    lines = fit_lines(encoded, values)
    found = weighted_sums(encoded, lines.weights) + lines.intercepts
    assert found == pytest.approx(values, abs=0.2)
