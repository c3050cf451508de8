import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boute.routing.thresholds import ALL, NONE, realised_fractions, route, thresholds_for

scores = st.integers(1, 60).flatmap(
    lambda n: arrays(
        np.float64, n, elements=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    )
)


@st.composite
def simplex(draw: st.DrawFn) -> np.ndarray:
    weights = draw(st.lists(st.integers(0, 10), min_size=1, max_size=6).filter(sum))
    return np.array(weights) / sum(weights)


def plain_route(score: float, thresholds: list[float]) -> int:
    for model, threshold in enumerate(thresholds):
        if score <= threshold:
            return model
    return len(thresholds)


@given(scores, simplex())
def test_route_is_the_first_threshold_not_below(score: np.ndarray, fractions: np.ndarray) -> None:
    thresholds = thresholds_for(score, fractions)
    assert route(score, thresholds).tolist() == [
        plain_route(value, thresholds.tolist()) for value in score
    ]


@given(scores, simplex())
def test_thresholds_ascend_and_are_finite(score: np.ndarray, fractions: np.ndarray) -> None:
    thresholds = thresholds_for(score, fractions)
    assert len(thresholds) == len(fractions) - 1
    assert np.isfinite(thresholds).all()
    assert (np.diff(thresholds) >= 0).all()
    assert ((thresholds == NONE) | ((thresholds >= 0) & (thresholds <= ALL))).all()


@given(scores, simplex())
def test_harder_queries_never_go_to_a_cheaper_model(
    score: np.ndarray, fractions: np.ndarray
) -> None:
    routed = route(np.sort(score), thresholds_for(score, fractions))
    assert (np.diff(routed) >= 0).all()


@given(scores, simplex())
def test_a_model_with_nothing_gets_nothing_of_any_score(
    score: np.ndarray, fractions: np.ndarray
) -> None:
    thresholds = thresholds_for(score, fractions)
    anything = np.concatenate([score, np.linspace(0, 1, 101)])
    assert (realised_fractions(anything, thresholds)[fractions == 0] == 0).all()


@given(scores, simplex())
def test_cumulated_shares_are_met_up_to_ties(score: np.ndarray, fractions: np.ndarray) -> None:
    realised = realised_fractions(score, thresholds_for(score, fractions))
    _, runs = np.unique(score, return_counts=True)
    slack = np.maximum(runs.max() / 2, 0.5) / len(score) + 1e-9
    if runs.max() > 1:
        slack += 0.5 / len(score)
    assert np.abs(np.cumsum(realised) - np.cumsum(fractions)).max() <= slack


def test_distinct_scores_give_the_shares_exactly() -> None:
    score = np.random.default_rng(0).random(1000)
    thresholds = thresholds_for(score, [0.5, 0.3, 0.2])
    assert realised_fractions(score, thresholds).tolist() == [0.5, 0.3, 0.2]


def test_equal_scores_go_to_the_nearer_side() -> None:
    score = np.array([0.1, 0.5, 0.5, 0.5, 0.9])
    assert thresholds_for(score, [0.3, 0.7]).tolist() == [0.1]
    assert thresholds_for(score, [0.7, 0.3]).tolist() == [0.5]
    assert thresholds_for(np.full(4, 0.3), [0.2, 0.8]).tolist() == [NONE]
    assert thresholds_for(np.full(4, 0.3), [0.8, 0.2]).tolist() == [ALL]


@pytest.mark.parametrize("fractions", [[0.5, 0.6], [-0.1, 1.1], [0.2]])
def test_fractions_are_of_the_simplex(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        thresholds_for(np.array([0.5]), fractions)
