import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.routing.expected import expected_quality
from boute.routing.thresholds import route, thresholds_for


def test_mean_is_that_of_the_routed_answers() -> None:
    quality = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    score = np.array([0.1, 0.6, 0.2, 0.9])
    assert expected_quality(quality, route(score, [0.5])).mean == pytest.approx(
        (0.1 + 0.8 + 0.3 + 0.6) / 4
    )


def test_right_or_wrong_gives_the_wilson_interval() -> None:
    quality = np.repeat([[1.0], [0.0]], [8, 2], axis=0)
    mean, low, high = expected_quality(quality, np.zeros(10, np.int64))
    # 8 of 10 at 95%: Newcombe, Statistics in Medicine 1998, method 3.
    assert (mean, low, high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_certainty_of_a_few_rows_is_not_certainty(value: float) -> None:
    mean, low, high = expected_quality(np.full((20, 1), value), np.zeros(20, np.int64))
    assert mean == value
    assert 0.1 < high - low < 0.2


@given(st.integers(0, 2**32), st.floats(0, 1))
def test_the_interval_holds_the_mean(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    quality, score = rng.random((30, 2)), rng.random(30)
    found = expected_quality(quality, route(score, thresholds_for(score, [share, 1 - share])))
    assert 0 <= found.low <= found.mean <= found.high <= 1


@pytest.mark.parametrize("graded", [False, True])
def test_the_interval_covers_the_truth_about_95_times_in_100(graded: bool) -> None:
    rng = np.random.default_rng(1)
    covered, width = 0, 0.0
    for _ in range(1000):
        quality = rng.beta(8, 2, (100, 1)) if graded else (rng.random((100, 1)) < 0.8) * 1.0
        _, low, high = expected_quality(quality, np.zeros(100, np.int64))
        covered += low <= 0.8 <= high
        width += high - low
    assert 925 <= covered <= 975
    # Graded answers that vary little are known better than right-or-wrong ones.
    assert width / 1000 < (0.06 if graded else 0.17)
