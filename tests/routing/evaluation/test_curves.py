import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boute.routing.evaluation.curves import apgr, cpt, gain_curve


def plain_curve(
    gain: np.ndarray, score: np.ndarray, weight: np.ndarray
) -> list[tuple[float, float]]:
    """For each threshold: what is sent to the stronger model, and what that gains."""
    points = [(0.0, 0.0)]
    for threshold in sorted(set(score), reverse=True):
        sent = [i for i in range(len(score)) if score[i] >= threshold]
        points.append(
            (
                sum(weight[i] for i in sent) / weight.sum(),
                sum(weight[i] * gain[i] for i in sent) / weight.sum(),
            )
        )
    return points


def plain_apgr(points: list[tuple[float, float]]) -> float:
    area = sum((a[1] + b[1]) / 2 * (b[0] - a[0]) for a, b in itertools.pairwise(points))
    return area / points[-1][1]


def is_cpt(points: list[tuple[float, float]], level: float, share: float) -> bool:
    """Whether the curve reaches the level at this share, and at no corner before it."""
    wanted = level * points[-1][1]
    before = [gained for at, gained in points if at < share - 1e-9]
    reached = float(np.interp(share, *zip(*points, strict=True)))
    return abs(reached - wanted) < 1e-9 and max(before) <= wanted + 1e-9


SCORES = arrays(np.float64, 12, elements=st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.9]))
GAINS = arrays(np.float64, 12, elements=st.sampled_from([-1.0, 0.0, 0.25, 1.0]))
WEIGHTS = arrays(np.float64, (12, 3), elements=st.integers(0, 3).map(float))


@given(GAINS, SCORES, WEIGHTS)
def test_agrees_with_the_definitions_under_any_weights(
    gain: np.ndarray, score: np.ndarray, weights: np.ndarray
) -> None:
    weights[0] += 1.0  # a resample has rows
    curve = gain_curve(gain, score, weights)
    for column in range(weights.shape[1]):
        points = plain_curve(gain, score, weights[:, column])
        assert curve.share[:, column] == pytest.approx([share for share, _ in points])
        assert curve.gain[:, column] == pytest.approx([gained for _, gained in points])
        if points[-1][1] > 1e-9:
            assert apgr(curve)[column] == pytest.approx(plain_apgr(points))
            assert is_cpt(points, 0.5, float(cpt(curve, 0.5)[column]))
        elif points[-1][1] < -1e-9:
            assert np.isnan(apgr(curve)[column])
            assert np.isnan(cpt(curve, 0.5)[column])


def test_a_weight_of_two_is_a_row_twice() -> None:
    rng = np.random.default_rng(0)
    gain, score = rng.random(50) - 0.3, rng.random(50)
    counts = rng.integers(0, 4, 50)
    weighted = gain_curve(gain, score, counts.astype(float)[:, None])
    repeated = gain_curve(np.repeat(gain, counts), np.repeat(score, counts))
    assert apgr(weighted) == pytest.approx(apgr(repeated))
    assert cpt(weighted, 0.8) == pytest.approx(cpt(repeated, 0.8))
