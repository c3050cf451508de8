"""Bootstrap of a table by groups of rows: what would have come of other queries of the same kind.

Rows of a group (a task, or texts that are nearly the same) come and go together (the cluster
bootstrap: Davison and Hinkley, Bootstrap Methods, 1997, section 3.8). A resample is a weight a row,
so statistics are weighted sums and all resamples of a block are one array.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boute.workload.arrays import Floats, Ints

__all__ = ["LEAST_TASKS", "Estimate", "Resamples", "estimate"]

# With fewer groups an interval is a guess (Cameron, Gelbach and Miller, REStat 2008, find too
# narrow ones under 20 to 30).
LEAST_TASKS: Final = 20
_BLOCK: Final = 500_000  # weights at a time, 4 MB: more fall out of the cache


class Estimate(NamedTuple):
    """A figure on the rows as they are, with its 95% percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Resamples:
    """`count` resamples of rows in groups [M]; the same ones each time they are gone through."""

    groups: Ints
    count: int = 1000
    seed: int = 0

    def blocks(self) -> Iterator[Floats]:
        """Weights [M, B] of all resamples, a block at a time."""
        drawn, group = self._drawn
        size = max(1, _BLOCK // len(group))
        for start in range(0, self.count, size):
            yield drawn[:, start : start + size].astype(np.float64)[group]

    @cached_property
    def _drawn(self) -> tuple[NDArray[np.uint16], Ints]:
        """How often each group is in each resample, [G, count], and the group of each row."""
        numbers, group = np.unique(self.groups, return_inverse=True)
        rng, size = np.random.default_rng(self.seed), len(numbers)
        drawn = [
            np.bincount(rng.integers(size, size=size), minlength=size) for _ in range(self.count)
        ]
        return np.stack(drawn, axis=1).astype(np.uint16), np.asarray(group, dtype=np.int64)


def estimate(value: float, resampled: Floats) -> Estimate:
    """A value with the 2.5% and 97.5% points of its resamples [B].

    The interval is NaN where more than one in forty resamples has no value: it has no end then.
    """
    finite = resampled[np.isfinite(resampled)]
    if len(finite) < 0.975 * len(resampled):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(finite, [0.025, 0.975])
    return Estimate(value, float(low), float(high))
