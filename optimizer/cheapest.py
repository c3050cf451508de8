"""The cheapest draft of each kind: of all that do about as much in every other objective.

The archive keeps no two drafts that are much alike, and of $2.99 and $3.00 an hour the faster one.
Who asks for a quality and a latency at least cost wants the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from boute.optimizer.archive import Looked

__all__ = ["Cheapest"]

SIDE: Final = 1.0 / 32.0  # of a box of the other objectives, normalised


class Cheapest:
    """At most one draft a box of the other objectives; `price` is the place of the cost."""

    def __init__(self, price: int) -> None:
        self._price = price
        self._members: dict[tuple[int, ...], Looked] = {}

    def __iter__(self) -> Iterator[Looked]:
        return iter(self._members.values())

    def add(self, looked: Looked) -> None:
        """Keep a draft that meets the targets, if it is cheaper than what is in its box."""
        values = looked.values
        if looked.violation > 0.0 or np.any(values >= 1.0):
            return
        box = tuple(np.floor(np.delete(values, self._price) / SIDE).astype(int).tolist())
        known = self._members.get(box)
        if known is None or self._order(looked) < self._order(known):
            self._members[box] = looked

    def _order(self, looked: Looked) -> tuple[float, float]:
        return float(looked.values[self._price]), float(looked.values.sum())
