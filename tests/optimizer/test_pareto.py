from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boute.optimizer.pareto import Scale, hypervolume, knee_order, nondominated, spread
from boute.workload.arrays import Floats


def fronts(largest: float = 1.2, most: int = 7) -> st.SearchStrategy[Floats]:
    """Points [n, m]; a coarse grid, so that ties and repeats are common."""
    steps = int(largest * 10)
    return st.integers(2, 4).flatmap(
        lambda m: arrays(
            np.float64,
            st.tuples(st.integers(1, most), st.just(m)),
            elements=st.integers(0, steps).map(lambda step: step / 10),
        )
    )


def plainly_nondominated(points: Floats) -> list[bool]:
    kept = []
    for i, point in enumerate(points):
        beaten = any(np.all(other <= point) and np.any(other < point) for other in points)
        repeated = any(np.array_equal(other, point) for other in points[:i])
        kept.append(not beaten and not repeated)
    return kept


def plain_hypervolume(points: Floats) -> float:
    """Inclusion and exclusion over every subset of the boxes from each point to (1, ..., 1)."""
    inside = [np.clip(point, 0.0, 1.0) for point in points]
    total = 0.0
    for size in range(1, len(inside) + 1):
        for subset in itertools.combinations(inside, size):
            total -= (-1) ** size * np.prod(1.0 - np.max(subset, axis=0))
    return float(total)


@given(fronts())
def test_nondominated_is_what_pairwise_comparison_finds(points: Floats) -> None:
    assert nondominated(points).tolist() == plainly_nondominated(points)


@given(fronts())
def test_hypervolume_is_that_of_inclusion_and_exclusion(points: Floats) -> None:
    assert hypervolume(points) == pytest.approx(plain_hypervolume(points), abs=1e-12)


@given(fronts())
def test_hypervolume_grows_with_points_and_dominated_ones_add_nothing(points: Floats) -> None:
    whole = hypervolume(points)
    assert hypervolume(points[:-1]) <= whole + 1e-12
    assert hypervolume(points[nondominated(points)]) == pytest.approx(whole, abs=1e-12)
    assert 0.0 <= whole <= 1.0


def test_points_beyond_the_ideal_or_the_reference_stay_within_the_cube() -> None:
    assert hypervolume(np.array([[-1.0, -2.0]])) == 1.0
    assert hypervolume(np.array([[0.5, 1.0], [2.0, 0.0]])) == 0.0


def test_nothing_dominates_nothing() -> None:
    none = np.empty((0, 3))
    assert hypervolume(none) == 0.0
    assert nondominated(none).tolist() == []
    assert knee_order(none) == []
    assert spread(none, 3) == []


@given(fronts(), st.integers(1, 5))
def test_spread_keeps_its_promise_to_the_best_choice(points: Floats, count: int) -> None:
    chosen = spread(points, count)
    assert len(chosen) == len(set(chosen)) <= min(count, len(points))
    if len(chosen) < count:  # what is left adds nothing
        assert hypervolume(points[chosen]) == pytest.approx(hypervolume(points), abs=1e-12)
    best = max(
        plain_hypervolume(points[list(subset)])
        for subset in itertools.combinations(range(len(points)), min(count, len(points)))
    )
    assert hypervolume(points[chosen]) >= (1.0 - 1.0 / np.e) * best - 1e-12


@given(fronts(), fronts(), st.integers(1, 5))
def test_spread_on_a_base_takes_the_largest_gain_at_each_step(
    points: Floats, base: Floats, count: int
) -> None:
    """As the plain greedy choice does, which looks at every point again at each step."""
    if base.shape[1] != points.shape[1]:
        return
    front = base
    for index in spread(points, count, base):
        gains = [hypervolume(np.vstack([front, [point]])) for point in points]
        assert gains[index] == pytest.approx(max(gains), abs=1e-12)
        assert gains[index] > hypervolume(front)
        front = np.vstack([front, points[index : index + 1]])


def test_spread_begins_with_the_point_that_dominates_most() -> None:
    points = np.array([[0.0, 0.9], [0.3, 0.3], [0.9, 0.0]])
    assert spread(points, 1) == [1]


@given(fronts())
def test_knee_order_is_by_distance_to_the_ideal_point(points: Floats) -> None:
    order = knee_order(points)
    assert sorted(order) == list(range(len(points)))
    low, high = points.min(axis=0), points.max(axis=0)
    distances = []
    for index in order:
        parts = [
            (value - a) / (b - a) if b > a else 0.0
            for value, a, b in zip(points[index], low, high, strict=True)
        ]
        distances.append(sum(part * part for part in parts) ** 0.5)
    assert distances == pytest.approx(sorted(distances))


def test_the_most_balanced_point_comes_first_and_equal_ones_in_their_order() -> None:
    points = np.array([[0.0, 10.0], [4.0, 3.0], [10.0, 0.0]])
    assert knee_order(points) == [1, 0, 2]


def test_scale_maps_best_to_0_and_worst_to_1() -> None:
    scale = Scale(("quality", "cost_per_hour"), np.array([0.9, 0.0]), np.array([0.6, 40.0]))
    assert scale.normalise(scale.best).tolist() == [0.0, 0.0]
    assert scale.normalise(scale.worst).tolist() == [1.0, 1.0]
    found = scale.normalise(np.array([[0.75, 10.0], [0.5, 50.0]]))
    assert found == pytest.approx(np.array([[0.5, 0.25], [4.0 / 3.0, 1.25]]))


@pytest.mark.parametrize(
    ("best", "worst"), [(0.6, 0.9), (0.7, 0.7), (float("nan"), 0.5)], ids=["turned", "flat", "nan"]
)
def test_a_scale_that_points_nowhere_is_refused(best: float, worst: float) -> None:
    with pytest.raises(ValueError, match="quality: best"):
        Scale(("quality",), np.array([best]), np.array([worst]))
