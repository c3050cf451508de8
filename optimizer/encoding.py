"""Points of the unit cube and what they mean: load fractions, preferences, headroom, haste.

For K models and G GPU types a point has (K - 1) + K G + 2 K coordinates:

- cuts [K - 1]: sorted, they cut the unit interval into the share of queries of each model, in
  order of cost. Uniform points are uniform on the simplex.
- preferences [K, G]: how much a model wants a GPU type. Only types wanted at least half as much
  as the favourite are used, so that placements on one type are not a set of measure zero.
- headroom [K]: from 0, a pool as full as may be, to 1, one that is mostly idle.
- haste [K]: from 0, the parallelism that is cheapest a request, to 1, the one that is fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boute.workload.arrays import Floats

__all__ = ["Encoding", "Genes", "Point"]

Point = tuple[float, ...]

# Shares are whole percents: finer ones cannot be told apart by the quality data, and coarser
# points decode to one plan more often, which saves evaluations.
SHARE_STEPS = 100


@dataclass(frozen=True, eq=False)
class Genes:
    """A point taken apart: fractions [K], wants [K, G] (rows sum to 1), headroom [K], haste [K]."""

    fractions: Floats
    wants: Floats
    headroom: Floats
    haste: Floats


@dataclass(frozen=True)
class Encoding:
    """The unit cube for K models and G GPU types."""

    models: int
    gpus: int

    @property
    def dimensions(self) -> int:
        """Coordinates of a point."""
        return (self.models - 1) + self.models * self.gpus + 2 * self.models

    def split(self, point: Sequence[float]) -> Genes:
        """Take a point apart; raise ValueError unless it has `dimensions` coordinates in [0, 1]."""
        values = np.asarray(point, dtype=np.float64)
        if values.shape != (self.dimensions,):
            raise ValueError(f"a point has {self.dimensions} coordinates, not {values.shape}")
        if not (np.all(values >= 0.0) and np.all(values <= 1.0)):
            raise ValueError("the coordinates of a point lie in [0, 1]")
        cuts, preferences, headroom, haste = np.split(values, self._bounds())
        return Genes(
            fractions=_fractions(cuts),
            wants=_wants(preferences.reshape(self.models, self.gpus)),
            headroom=headroom,
            haste=haste,
        )

    def join(
        self,
        fractions: Floats,
        preferences: Floats,
        headroom: Floats | float,
        haste: Floats | float,
    ) -> Point:
        """The point with these genes: the inverse of `split` for shares in whole percents.

        One number for headroom or haste is that of every model.
        """
        cuts = np.cumsum(fractions)[:-1]
        each = [np.broadcast_to(value, self.models) for value in (headroom, haste)]
        values = np.concatenate([cuts, preferences.ravel(), *each])
        return tuple(float(value) for value in np.clip(values, 0.0, 1.0))

    def alone(self, gpu: int) -> Floats:
        """Preferences [K, G] of every model for one GPU type and no other."""
        return np.tile(np.eye(self.gpus)[gpu], (self.models, 1))

    def _bounds(self) -> list[int]:
        first = self.models - 1
        second = first + self.models * self.gpus
        return [first, second, second + self.models]


def _fractions(cuts: Floats) -> Floats:
    steps = np.rint(np.sort(cuts) * SHARE_STEPS)
    edges = np.concatenate([[0.0], steps, [float(SHARE_STEPS)]])
    return np.diff(edges) / SHARE_STEPS


def _wants(preferences: Floats) -> Floats:
    favourite = preferences.max(axis=1, keepdims=True)
    # A row of zeros wants nothing in particular: every type alike.
    level = np.where(favourite > 0.0, preferences / np.where(favourite > 0.0, favourite, 1.0), 1.0)
    excess = np.maximum(level - 0.5, 0.0)
    wants: Floats = excess / excess.sum(axis=1, keepdims=True)
    return wants
