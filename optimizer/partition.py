"""The space that a front leaves undominated, cut into boxes: compiled.

The algorithm is that of Lacour, Klamroth and Fonseca (Computers & Operations Research, 2017), as
BoTorch's FastNondominatedPartitioning has it; there it runs as Python loops over tensors, once for
each posterior sample and each chosen candidate, which takes most of the time of a round with three
objectives. The boxes are the same.
"""

from __future__ import annotations

import numpy as np
import torch
from botorch.utils.multi_objective.box_decompositions.non_dominated import (
    FastNondominatedPartitioning,
)

from boute.compiled import kernel
from boute.workload.arrays import Floats

__all__ = ["CompiledPartitioning", "undominated_boxes"]


def undominated_boxes(front: Floats, reference: Floats) -> Floats:
    """Boxes [2, cells, m] (lower and upper corners) of what a front leaves undominated.

    Points are to be maximised: `front` [n, m] is nondominated, n > 0, and better than `reference`
    [m] everywhere. The upper corners of outer boxes are infinite.
    """
    return np.asarray(_boxes(np.ascontiguousarray(-front), -reference))


class CompiledPartitioning(FastNondominatedPartitioning):
    """BoTorch's partitioning, with the loops for three and more objectives compiled."""

    def _partition_space(self) -> None:
        front = self.pareto_Y.numpy()
        boxes = undominated_boxes(front, self.ref_point.numpy())
        self.hypercell_bounds = torch.from_numpy(boxes)


@kernel
def _boxes(points: Floats, reference: Floats) -> Floats:
    """Boxes for points [n, m] to be minimised, in the maximising sense of the caller."""
    m = len(reference)
    upper = reference.copy().reshape(1, m)
    defining = np.full((1, m, m), -np.inf)
    for j in range(m):
        defining[0, j, j] = reference[j]
    for index in range(len(points)):
        upper, defining = _insert(upper, defining, points[index])
    # The local upper bounds, negated, are a front again: what it dominates up to infinity is what
    # the first one leaves undominated.
    outer = np.full((1, m), np.inf)
    corners = np.empty((1, m, m))
    for j in range(m):
        for k in range(m):
            corners[0, j, k] = np.inf if j == k else -reference[k]
    for index in range(len(upper)):
        outer, corners = _insert(outer, corners, -upper[index])
    return _cells(outer, corners)


@kernel
def _insert(upper: Floats, defining: Floats, point: Floats) -> tuple[Floats, Floats]:
    """Local upper bounds [u, m] and their defining points [u, m, m] after one more point."""
    n, m = upper.shape
    hit = np.zeros(n, dtype=np.bool_)
    split = np.zeros((n, m), dtype=np.bool_)
    size = 0
    for i in range(n):
        hit[i] = np.all(upper[i] > point)
        if not hit[i]:
            size += 1
            continue
        for j in range(m):
            most = -np.inf
            for k in range(m):
                if k != j:
                    most = max(most, defining[i, k, j])
            split[i, j] = point[j] >= most
            size += split[i, j]
    new_upper = np.empty((size, m))
    new_defining = np.empty((size, m, m))
    at = 0
    for i in range(n):
        if not hit[i]:
            new_upper[at] = upper[i]
            new_defining[at] = defining[i]
            at += 1
            continue
        for j in range(m):
            if split[i, j]:
                new_upper[at] = upper[i]
                new_upper[at, j] = point[j]
                new_defining[at] = defining[i]
                new_defining[at, j] = point
                at += 1
    return new_upper, new_defining


@kernel
def _cells(upper: Floats, defining: Floats) -> Floats:
    """Equation 2 of the paper: one box a local upper bound, the empty ones left out."""
    n, m = upper.shape
    bounds = np.empty((2, n, m))
    kept = 0
    for i in range(n):
        bounds[0, kept, 0] = defining[i, 0, 0]
        bounds[1, kept, 0] = np.inf
        empty = bounds[1, kept, 0] <= bounds[0, kept, 0]
        for j in range(1, m):
            bounds[0, kept, j] = np.max(defining[i, :j, j])
            bounds[1, kept, j] = upper[i, j]
            empty = empty or bounds[1, kept, j] <= bounds[0, kept, j]
        kept += not empty
    return bounds[:, :kept].copy()
