"""What a router remembers of the rows that it was fitted on: their scores, and which they were.

Scores seen later are held against these (`boute router drift`), and rows of a table that was fitted
on are told by the hashes (`boute router eval`). No text is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.workload.arrays import Floats

__all__ = ["MOST_SCORES", "Reference"]

MOST_SCORES: Final = 1001


@dataclass(frozen=True, eq=False)
class Reference:
    """`scores` are held-out scores of the rows, ascending, thinned to a thousandth of them each;
    `texts` the hashes of their texts, ascending, none where there was no text."""

    scores: Floats
    texts: NDArray[np.uint64]

    @classmethod
    def of(cls, scores: Floats, hashes: NDArray[np.uint64]) -> Reference:
        """Of held-out scores [M], and hashes of the texts in any order."""
        if len(scores) > MOST_SCORES:
            scores = np.asarray(np.quantile(scores, np.linspace(0.0, 1.0, MOST_SCORES)), np.float64)
        return cls(np.sort(scores), np.unique(hashes))

    def check(self) -> None:
        """Raise ValueError unless it is as `of` makes it."""
        scores = self.scores
        if scores.ndim != 1 or not 1 <= len(scores) <= MOST_SCORES or self.texts.ndim != 1:
            raise ValueError("a reference has scores, and hashes of texts")
        if scores[0] < 0 or scores[-1] > 1 or (np.diff(scores) < 0).any():
            raise ValueError("scores are in [0, 1] and ascend")

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """What is saved of it."""
        return {"scores": self.scores, "texts": self.texts}
