import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.routing.evaluation.bootstrap import Resamples
from boute.routing.evaluation.family import aiq, choices, family_result, hull

POINTS = st.lists(
    st.tuples(st.integers(0, 20).map(float), st.integers(0, 20).map(lambda q: q / 20)),
    min_size=2,
    max_size=9,
)


def plain_height(points: list[tuple[float, float]], cost: float) -> float:
    """The best quality of a mixture of two points that costs no more."""
    best = max((q for c, q in points if c <= cost), default=float("-inf"))
    for (c1, q1), (c2, q2) in itertools.permutations(points, 2):
        if c1 <= cost < c2:
            best = max(best, q1 + (q2 - q1) * (cost - c1) / (c2 - c1))
    return best


@given(POINTS)
def test_the_hull_is_the_best_mixture_of_two_points(points: list[tuple[float, float]]) -> None:
    cost, quality = (np.array(each) for each in zip(*points, strict=True))
    found = hull(cost, quality)
    assert (np.diff(found[:, 0]) > 0).all()
    assert (np.diff(found[:, 1]) > 0).all()
    for at in np.linspace(cost.min(), cost.max(), 9):
        height = np.interp(at, found[:, 0], found[:, 1])
        assert height == pytest.approx(plain_height(points, float(at)), abs=1e-9)


def test_aiq_of_two_models_is_the_middle_of_the_line_between_them() -> None:
    cost, quality = np.array([1.0, 3.0]), np.array([0.4, 0.8])
    assert aiq(cost, quality, 1.0, 3.0) == pytest.approx(0.6)
    # A model that costs more and answers worse changes nothing.
    assert aiq(np.append(cost, 2.0), np.append(quality, 0.3), 1.0, 3.0) == pytest.approx(0.6)


def made(rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quality, cost and what was expected [rows, 3]."""
    rng = np.random.default_rng(0)
    hard = rng.random((rows, 1))
    expected = np.clip(np.array([0.5, 0.7, 0.9]) - 0.6 * (hard - 0.5), 0, 1)
    quality = (rng.random((rows, 3)) < expected).astype(float)
    cost = np.array([1.0, 2.0, 6.0]) * rng.uniform(0.8, 1.2, (rows, 3))
    return quality, cost, expected


def test_a_router_is_between_chance_and_the_oracle() -> None:
    quality, cost, expected = made()
    expected[:, 1] = expected[:, 1] * np.random.default_rng(1).uniform(0.8, 1.2, len(expected))
    found = family_result(
        quality, cost, quality * 0.2 + expected, cost, Resamples(np.arange(400), count=50)
    )
    assert found is not None
    assert found.random < found.aiq.value < found.oracle
    assert found.gain.low > 0.0
    assert 0.0 < found.of_oracle.value < 1.0
    assert found.cheapest == pytest.approx(cost.mean(axis=0).min())
    costs = [point.cost for point in found.curve]
    qualities = [point.quality.value for point in found.curve]
    assert costs == sorted(costs)
    assert qualities == sorted(qualities)


def test_knowing_all_is_the_oracle_and_knowing_the_models_only_is_chance() -> None:
    quality, cost, _ = made()
    groups = Resamples(np.arange(400), count=20)
    perfect = family_result(quality, cost, quality, cost, groups)
    assert perfect is not None
    assert perfect.of_oracle.value == pytest.approx(1.0)
    means = np.tile(quality.mean(axis=0), (400, 1))
    blind = family_result(quality, cost, means, np.tile(cost.mean(axis=0), (400, 1)), groups)
    assert blind is not None
    assert blind.gain == pytest.approx((0.0, 0.0, 0.0))


def test_models_of_one_cost_have_no_curve() -> None:
    quality, _, expected = made(50)
    same = np.ones((50, 3))
    assert family_result(quality, same, expected, same, Resamples(np.arange(50), count=5)) is None


def test_prices_go_from_quality_alone_to_cost_alone() -> None:
    _, cost, expected = made(60)
    chosen = choices(expected, cost)
    assert (chosen[0] == expected.argmax(axis=1)).all()
    assert (chosen[-1] == cost.argmin(axis=1)).all()
    spent = cost[np.arange(60), chosen].mean(axis=1)
    assert (np.diff(spent) <= 1e-12).all()
