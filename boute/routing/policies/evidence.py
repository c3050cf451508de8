"""What a policy may know of queries before it decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boute.workload.arrays import Floats, Ints

__all__ = ["Evidence"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """M queries, and K models in cost order.

    `score` [M] in [0, 1] is the router's, higher for harder. `quality` and `output_tokens` [M, K]
    are what it predicts of each answer, by fits that did not see the query; None where no policy
    asks. `confidence` [M, K] in [0, 1] is that of each model in its own answer; None where no
    policy asks, and NaN of the dearest model where the table does not tell, which nothing reads.
    """

    score: Floats
    quality: Floats | None = None
    output_tokens: Floats | None = None
    confidence: Floats | None = None

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: Ints | Sequence[int]) -> Evidence:
        """That of some of the queries, in this order."""
        picked = np.asarray(rows, dtype=np.int64)

        def some(values: Floats | None) -> Floats | None:
            return None if values is None else values[picked]

        return Evidence(
            self.score[picked],
            some(self.quality),
            some(self.output_tokens),
            some(self.confidence),
        )
