import numpy as np
import pytest

from boute.routing.encoders.encoder import Encoded
from boute.routing.heads.factorisation import DIMENSIONS, fit_factorisation
from boute.routing.heads.linear import logistic


def test_many_models_share_few_dimensions() -> None:
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((600, 6))
    truth = logistic(2 * dense[:, :1] @ rng.standard_normal((1, 30)) + rng.standard_normal(30))
    made = fit_factorisation(Encoded(dense), truth, seed=0)
    assert made.places.shape == (6, DIMENSIONS)
    assert np.abs(made.quality(Encoded(dense)) - truth).mean() < 0.05


def test_a_constant_label_is_nearly_kept() -> None:
    dense = np.random.default_rng(0).standard_normal((200, 3))
    labels = np.tile([0.0, 0.5, 1.0], (200, 1))
    found = fit_factorisation(Encoded(dense), labels, seed=0).quality(Encoded(dense))
    assert found == pytest.approx(labels, abs=0.02)
