"""The best drafts that were looked at: none beats another, and none is much like another.

The space of objectives is cut into boxes; of the drafts in one box the nearest to its best corner
is kept, and boxes that another dominates are dropped (epsilon-dominance: Laumanns, Thiele, Deb and
Zitzler, Evolutionary Computation 2002). So the archive stays small and covers the front evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.optimizer.draft import Draft
from boute.workload.arrays import Floats

__all__ = ["Archive", "Looked"]

SIDE: Final = 1.0 / 400.0  # of a box, in normalised objectives

# Drafts kept that would be good if they did not miss a target, or lie beyond the reference point:
# a good plan is often a small step from one.
_MISSES: Final = 32


@dataclass(frozen=True, eq=False)
class Looked:
    """A draft, its normalised objectives [m], wanted metrics, and relative misses of targets."""

    draft: Draft
    values: Floats
    metrics: dict[str, float]
    violation: float


class Archive:
    """Drafts worth changing, at most one a box of objectives."""

    def __init__(self, objectives: int) -> None:
        self._values = np.empty((0, objectives))
        self._boxes = np.empty((0, objectives))
        self.members: list[Looked] = []
        self._misses: list[Looked] = []

    def add(self, looked: Looked) -> bool:
        """Keep a draft if it is better than what is there; whether it was."""
        values = looked.values
        if looked.violation > 0.0 or np.any(values >= 1.0):
            return self._add_miss(looked)
        box = np.floor(values / SIDE)
        if self._is_beaten(box):
            return False
        same = np.flatnonzero(np.all(self._boxes == box, axis=1))
        if len(same) and self._is_nearer(int(same[0]), values, box):
            return False
        keep = ~np.all(box <= self._boxes, axis=1)
        self._values = np.vstack([self._values[keep], values])
        self._boxes = np.vstack([self._boxes[keep], box])
        self.members = [m for m, kept in zip(self.members, keep, strict=True) if kept] + [looked]
        return True

    def would_keep(self, values: Floats, violation: float) -> bool:
        """Whether a draft with these objectives [m] might be kept, but for ties within a box."""
        if not self.members:
            return True
        if violation > 0.0 or np.any(values >= 1.0):
            return False
        return not self._is_beaten(np.floor(values / SIDE))

    @property
    def misses(self) -> list[Looked]:
        """Drafts that miss something and that no member beats, those that miss least first."""
        return self._misses

    def _is_beaten(self, box: Floats) -> bool:
        worse = np.all(self._boxes <= box, axis=1) & np.any(self._boxes < box, axis=1)
        return bool(np.any(worse))

    def _is_nearer(self, index: int, values: Floats, box: Floats) -> bool:
        """Whether the member of a box is as good as new values in it."""
        mine = self._values[index]
        if np.all(values <= mine) and np.any(values < mine):
            return False
        if np.all(mine <= values):
            return True
        corner = box * SIDE
        return bool(np.linalg.norm(mine - corner) <= np.linalg.norm(values - corner))

    def _add_miss(self, looked: Looked) -> bool:
        if len(self._misses) == _MISSES and _miss(looked) >= _miss(self._misses[-1]):
            return False
        if self._is_beaten(np.floor(looked.values / SIDE)):
            return False
        self._misses.append(looked)
        if len(self._misses) > _MISSES:
            kept = [m for m in self._misses if not self._is_beaten(np.floor(m.values / SIDE))]
            self._misses = sorted(kept, key=_miss)[:_MISSES]
        return True


def _miss(looked: Looked) -> float:
    """How far a draft is from where it counts."""
    return looked.violation + float(np.maximum(looked.values - 1.0, 0.0).sum())
