"""What a router expects of every model of the family on every query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from boute.workload.arrays import Floats, Ints

__all__ = ["COVERAGE", "Prediction"]

COVERAGE: Final = 0.8
"""Share of answers whose length is meant to lie in its interval."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """N queries and K models, cheapest first; every array is [N, K].

    `quality` in [0, 1] is the expected quality of the answer, and `quality_sd` the standard
    deviation of what it will be around that: for right-or-wrong answers hardly less than that of
    a coin with this probability. `output_tokens` is the mean length, which cost follows; `COVERAGE`
    of the answers are between `output_low` and `output_high` tokens long.
    """

    quality: Floats
    quality_sd: Floats
    output_tokens: Floats
    output_low: Floats
    output_high: Floats

    def __post_init__(self) -> None:
        if len({getattr(self, field.name).shape for field in fields(self)}) != 1:
            raise ValueError("the arrays of a prediction have one shape")

    def __len__(self) -> int:
        return len(self.quality)

    def take(self, rows: Ints | Sequence[int]) -> Prediction:
        """The prediction of some of the queries, in this order."""
        picked = np.asarray(rows, dtype=np.int64)
        return Prediction(*(getattr(self, field.name)[picked] for field in fields(self)))
