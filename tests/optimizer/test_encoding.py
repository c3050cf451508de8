from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.optimizer.encoding import SHARE_STEPS, Encoding, Point
from boute.workload.arrays import Floats

UNIT = st.floats(0.0, 1.0)


@st.composite
def encoded(draw: st.DrawFn) -> tuple[Encoding, Point]:
    encoding = Encoding(draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    size = encoding.dimensions
    return encoding, tuple(draw(st.lists(UNIT, min_size=size, max_size=size)))


@st.composite
def shares(draw: st.DrawFn, models: int) -> Floats:
    """A point of the simplex in whole percents."""
    cuts = draw(st.lists(st.integers(0, SHARE_STEPS), min_size=models - 1, max_size=models - 1))
    return np.diff([0, *sorted(cuts), SHARE_STEPS]) / SHARE_STEPS


@given(encoded())
def test_every_point_means_shares_and_wants(case: tuple[Encoding, Point]) -> None:
    encoding, point = case
    genes = encoding.split(point)
    assert genes.fractions.shape == (encoding.models,)
    assert np.all(genes.fractions >= 0.0)
    assert genes.fractions.sum() == pytest.approx(1.0)
    steps = genes.fractions * SHARE_STEPS
    assert steps == pytest.approx(np.rint(steps), abs=1e-9)
    assert genes.wants.shape == (encoding.models, encoding.gpus)
    assert np.all(genes.wants >= 0.0)
    assert genes.wants.sum(axis=1) == pytest.approx(np.ones(encoding.models))
    for values in (genes.headroom, genes.haste):
        assert values.shape == (encoding.models,)
        assert np.all((values >= 0.0) & (values <= 1.0))


@given(st.data())
def test_join_is_undone_by_split(data: st.DataObject) -> None:
    models, gpus = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    encoding = Encoding(models, gpus)
    row = st.lists(UNIT, min_size=gpus, max_size=gpus)
    fractions = data.draw(shares(models))
    preferences = np.array(data.draw(st.lists(row, min_size=models, max_size=models)))
    headroom, haste = (
        np.array(data.draw(st.lists(UNIT, min_size=models, max_size=models))) for _ in range(2)
    )
    genes = encoding.split(encoding.join(fractions, preferences, headroom, haste))
    assert genes.fractions == pytest.approx(fractions, abs=1e-12)
    assert genes.headroom.tolist() == headroom.tolist()
    assert genes.haste.tolist() == haste.tolist()
    # What counts of a preference is by how much it is above half of the favourite.
    for wants, given_row in zip(genes.wants, preferences, strict=True):
        assert (wants > 0.0).tolist() == [
            bool(p > 0.5 * given_row.max()) or given_row.max() == 0.0 for p in given_row
        ] or np.any(np.isclose(given_row, 0.5 * given_row.max()))


def test_one_number_is_that_of_every_model_and_a_type_can_be_wanted_alone() -> None:
    encoding = Encoding(models=3, gpus=2)
    genes = encoding.split(encoding.join(np.eye(3)[1], encoding.alone(1), 0.25, 0.5))
    assert genes.wants.tolist() == [[0.0, 1.0]] * 3
    assert genes.headroom.tolist() == [0.25] * 3
    assert genes.haste.tolist() == [0.5] * 3


def test_a_type_wanted_less_than_half_as_much_as_the_favourite_is_not_used() -> None:
    encoding = Encoding(1, 3)
    wants = encoding.split((0.8, 0.4, 0.6, 0.0, 0.0)).wants
    assert wants.tolist() == [pytest.approx([2.0 / 3.0, 0.0, 1.0 / 3.0])]


def test_no_preference_wants_every_type_alike() -> None:
    assert Encoding(1, 4).split((0.0,) * 6).wants.tolist() == [[0.25] * 4]


def test_cuts_may_come_in_any_order() -> None:
    encoding = Encoding(3, 1)
    rest = (1.0,) * 9
    assert encoding.dimensions == 2 + len(rest)
    fractions = encoding.split((0.9, 0.3, *rest)).fractions
    assert fractions == pytest.approx([0.3, 0.6, 0.1])


@pytest.mark.parametrize(
    "point",
    [(0.5,) * 2, (0.5,) * 4, (0.5, 0.5, 1.1), (0.5, -0.1, 0.5), (0.5, 0.5, float("nan"))],
    ids=["short", "long", "above", "below", "nan"],
)
def test_what_is_no_point_of_the_cube_is_refused(point: Point) -> None:
    with pytest.raises(ValueError, match="point"):
        Encoding(1, 1).split(point)
