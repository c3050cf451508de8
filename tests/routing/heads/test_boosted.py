import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from boute.routing.encoders.encoder import Encoded
from boute.routing.heads import boosted


def test_arrays_say_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((400, 4)).astype(np.float32).astype(np.float64)
    label = (dense[:, 0] * dense[:, 1] > 0).astype(float)
    found = boosted.fit_boosted(Encoded(dense), label[:, None], seed=3).quality(Encoded(dense))
    model = GradientBoostingRegressor(
        n_estimators=boosted.TREES,
        max_depth=boosted.DEPTH,
        learning_rate=boosted.LEARNING_RATE,
        min_samples_leaf=boosted.LEAST_LEAF_ROWS,
        subsample=0.5,
        max_features="sqrt",
        random_state=3,
    ).fit(dense, label - label.mean())
    expected = (model.predict(dense) + label.mean()).clip(0, 1)
    assert found[:, 0] == pytest.approx(expected, abs=1e-5)
    assert ((found[:, 0] > 0.5) == (label > 0.5)).mean() > 0.9


def test_a_constant_label_is_kept() -> None:
    dense = np.random.default_rng(0).random((60, 2))
    labels = np.tile([0.0, 0.25], (60, 1))
    found = boosted.fit_boosted(Encoded(dense), labels, seed=0).quality(Encoded(dense))
    assert found == pytest.approx(labels, abs=1e-6)
