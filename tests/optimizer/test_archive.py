from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boute.optimizer.archive import SIDE, Archive, Looked
from boute.optimizer.draft import Draft
from boute.workload.arrays import Floats

POINTS = arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(0, 1.2))


def looked(values: Floats, violation: float = 0.0, name: int = 0) -> Looked:
    return Looked(Draft((name,), ((0, 1),)), values, {}, violation)


@given(POINTS)
def test_members_cover_all_that_was_added_and_do_not_beat_each_other(points: Floats) -> None:
    archive = Archive(3)
    for name, point in enumerate(points):
        archive.add(looked(point, name=name))
    members = [member.values for member in archive.members]
    for point in points[np.all(points < 1.0, axis=1)]:
        # Something as good to the width of a box was kept.
        assert any(np.all(member <= point + SIDE) for member in members)
    boxes = [np.floor(member / SIDE) for member in members]
    for i, box in enumerate(boxes):
        assert not any(np.all(other <= box) for j, other in enumerate(boxes) if j != i)


@given(POINTS)
def test_what_would_not_be_kept_is_not(points: Floats) -> None:
    archive = Archive(3)
    for name, point in enumerate(points):
        expected = archive.would_keep(point, 0.0)
        archive.add(looked(point, name=name))
        if not expected:
            assert name not in [member.draft.cuts[0] for member in archive.members]


def test_of_what_misses_a_target_the_nearest_are_kept_apart() -> None:
    archive = Archive(2)
    for name in range(100):
        archive.add(looked(np.array([0.5, 0.5]), violation=1.0 + name, name=name))
    assert not archive.members
    assert [miss.violation for miss in archive.misses][:3] == [1.0, 2.0, 3.0]
    assert len(archive.misses) == 32
    archive.add(looked(np.array([0.2, 0.2])))
    assert len(archive.members) == 1
    # Beaten even if it missed nothing: not worth starting from.
    assert not archive.add(looked(np.array([0.9, 0.9]), violation=0.1))
    assert archive.add(looked(np.array([0.1, 0.9]), violation=0.1))


def test_beyond_the_reference_point_nothing_counts() -> None:
    archive = Archive(2)
    archive.add(looked(np.array([0.1, 1.0])))
    assert not archive.members
    assert len(archive.misses) == 1
