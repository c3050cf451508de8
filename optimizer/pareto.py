"""Pareto tools: non-domination, hypervolume, and a well-spread choice of points.

All take points to be minimised, [n, m]. The reference point is (1, ..., 1) where a function needs
one: `Scale` maps objectives there first.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from boute.metrics import is_maximised
from boute.workload.arrays import Floats

__all__ = ["Scale", "hypervolume", "knee_order", "nondominated", "spread"]


@dataclass(frozen=True, eq=False)
class Scale:
    """Maps objectives so that `best` becomes 0 and `worst`, the reference point, 1.

    `best` and `worst` [m] are in the objectives' own units and directions.
    """

    objectives: tuple[str, ...]
    best: Floats
    worst: Floats

    def normalise(self, values: Floats) -> Floats:
        """Objectives [..., m] in their own units to minimised ones; beyond 1 is past the limit."""
        return (values - self.best) / (self.worst - self.best)

    def __post_init__(self) -> None:
        for name, best, worst in zip(self.objectives, self.best, self.worst, strict=True):
            if not (best > worst if is_maximised(name) else best < worst):
                raise ValueError(f"{name}: best {best:g} is not better than worst {worst:g}")


def nondominated(points: Floats) -> NDArray[np.bool_]:
    """Which points no other point is at least as good as everywhere and better somewhere, [n].

    Of equal points the first is kept.
    """
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    keep = moocore.is_nondominated(points, keep_weakly=False)
    return np.asarray(keep, dtype=bool)


def hypervolume(points: Floats) -> float:
    """Volume that the points dominate within the unit cube, from 0 to 1."""
    inside = points[np.all(points < 1.0, axis=1)] if len(points) else points
    if len(inside) == 0:
        return 0.0
    # A point better than the ideal counts as the ideal, so that the volume stays within 1.
    return float(moocore.hypervolume(np.maximum(inside, 0.0), ref=np.ones(inside.shape[1])))


def knee_order(points: Floats) -> list[int]:
    """Indices of the points, the most balanced first.

    Balance is the distance to the ideal point (the best of each objective among the points) after
    each objective is scaled to its range among them; ties go to the earlier point.
    """
    if len(points) == 0:
        return []
    low, high = points.min(axis=0), points.max(axis=0)
    distance = np.linalg.norm((points - low) / np.where(high > low, high - low, 1.0), axis=1)
    return [int(index) for index in np.argsort(distance, kind="stable")]


def spread(points: Floats, count: int, base: Floats | None = None) -> list[int]:
    """Indices of up to `count` points of the set that add the most volume to `base` together.

    Greedy choice by hypervolume contribution, which is within 1 - 1/e of the best choice because
    hypervolume is submodular (Guerreiro, Fonseca and Paquete, 2016). For the same reason what a
    point adds only falls as others are chosen, so most need not be looked at again (Minoux, 1978).
    Points that add nothing are not chosen.
    """
    front = np.empty((0, points.shape[1])) if base is None else base
    volume = hypervolume(front)

    def volume_with(index: int) -> float:
        return hypervolume(np.vstack([front, points[index : index + 1]]))

    # Ties go to the earlier point.
    heap = [(volume - volume_with(index), index) for index in range(len(points))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < count:
        _, index = heapq.heappop(heap)
        reached = volume_with(index)
        gain = reached - volume
        if heap and -gain > heap[0][0]:
            heapq.heappush(heap, (-gain, index))
            continue
        if gain <= 0.0:
            break
        chosen.append(index)
        front = np.vstack([front, points[index : index + 1]])
        volume = reached
    return chosen
