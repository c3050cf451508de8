from __future__ import annotations

import numpy as np
import pytest
import torch
from botorch.utils.multi_objective.box_decompositions.non_dominated import (
    FastNondominatedPartitioning,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.optimizer.pareto import nondominated
from boute.optimizer.partition import CompiledPartitioning, undominated_boxes
from boute.workload.arrays import Floats


def front_of(seed: int, size: int, objectives: int, *, grid: bool) -> Floats:
    """Nondominated points to be maximised, above a reference point of zeros."""
    rng = np.random.default_rng(seed)
    points = rng.random((size, objectives)) + 0.01
    if grid:
        points = np.ceil(points * 5.0) / 5.0
    return points[nondominated(-points)]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 14), st.integers(2, 4), st.booleans())
def test_every_undominated_point_lies_in_one_box_and_no_dominated_one_does(
    seed: int, size: int, objectives: int, grid: bool
) -> None:
    front = front_of(seed, size, objectives, grid=grid)
    lower, upper = undominated_boxes(front, np.zeros(objectives))
    assert np.all(lower < upper)
    points = np.random.default_rng(seed + 1).random((200, objectives)) * 1.3
    inside = np.all((points[:, None] > lower) & (points[:, None] < upper), axis=2).sum(axis=1)
    dominated = np.any(np.all(front[None] >= points[:, None], axis=2), axis=1)
    assert inside.tolist() == np.where(dominated, 0, 1).tolist()


@pytest.mark.parametrize("objectives", [2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_volumes_are_those_of_botorch(seed: int, objectives: int) -> None:
    front = torch.from_numpy(front_of(seed, 12, objectives, grid=seed == 0))
    reference = torch.zeros(objectives, dtype=torch.float64)
    theirs = FastNondominatedPartitioning(ref_point=reference, Y=front)
    ours = CompiledPartitioning(ref_point=reference, Y=front)
    assert float(ours.compute_hypervolume()) == pytest.approx(float(theirs.compute_hypervolume()))
    top = torch.full((objectives,), 2.0, dtype=torch.float64)
    volumes = [
        float((part.hypercell_bounds[1].minimum(top) - part.hypercell_bounds[0]).prod(-1).sum())
        for part in (ours, theirs)
    ]
    assert volumes[0] == pytest.approx(volumes[1])


def test_the_boxes_of_one_point_in_two_dimensions() -> None:
    boxes = undominated_boxes(np.array([[1.0, 2.0]]), np.zeros(2))
    area = np.prod(np.minimum(boxes[1], 10.0) - boxes[0], axis=1).sum()
    assert area == pytest.approx(100.0 - 2.0)
