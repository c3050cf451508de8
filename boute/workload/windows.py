"""What a thinned trace knows of the whole one: its windows, and how much each stands for.

The error of thinning comes from balanced half-samples: every stratum has two windows, a replicate
takes one of each, and the replicates are balanced by the columns of a Hadamard matrix (McCarthy,
Review of the International Statistical Institute 37, 1969). Unlike the jackknife this holds for
percentiles as well as for means (Shao and Tu, The Jackknife and Bootstrap, 1995, section 6.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["STRATA", "Thinning", "Window"]

STRATA: Final = 6
"""Groups of windows with like numbers of requests; two windows of each are taken."""

HALF_SAMPLES: Final = 8
"""Replicates: the smallest Hadamard matrix with a balanced column for each stratum."""


@dataclass(frozen=True)
class Window:
    """A stretch of contiguous requests of a thinned trace, `first` to `last` by index.

    Those from `counted` up to `uncounted` are counted. The ones before fill the queues that the
    others would have met, the ones after keep them company to their end. `starts_s` is where the
    window begins on the clock of the thinned trace, `duration_s` how long it is. `stratum` is None
    for the busiest window, which stands for itself alone.
    """

    first: int
    counted: int
    uncounted: int
    last: int
    starts_s: float
    duration_s: float
    stratum: int | None

    @property
    def requests(self) -> int:
        """Requests that are counted."""
        return self.uncounted - self.counted


@dataclass(frozen=True)
class Thinning:
    """Windows in order, and the whole trace: its requests, its seconds, its busiest rate.

    `of_stratum` [STRATA] is how many of the whole's requests each stratum holds.
    """

    requests: int
    duration_s: float
    peak_rate_per_s: float
    windows: tuple[Window, ...]
    of_stratum: tuple[int, ...]

    def weights(self) -> NDArray[np.float64]:
        """How many requests of the whole one counted request of each window stands for [W]."""
        return self._weights([list(pair) for pair in self._pairs()])

    def half_samples(self) -> NDArray[np.float64]:
        """The weights of each half-sample [HALF_SAMPLES, W]."""
        two = np.array([[1, 1], [1, -1]])
        signs = np.kron(np.kron(two, two), two)[:, 1 : STRATA + 1]
        pairs = self._pairs()
        return np.stack(
            [
                self._weights([[pair[int(s < 0)]] for pair, s in zip(pairs, row, strict=True)])
                for row in signs
            ]
        )

    def _pairs(self) -> list[tuple[int, int]]:
        """Indices of the two windows of each stratum."""
        members: list[list[int]] = [[] for _ in range(STRATA)]
        for index, window in enumerate(self.windows):
            if window.stratum is not None:
                members[window.stratum].append(index)
        return [(first, second) for first, second in members]

    def _weights(self, taken: list[list[int]]) -> NDArray[np.float64]:
        """Weights [W] when these windows of each stratum stand for it."""
        weights = np.array([float(window.stratum is None) for window in self.windows])
        for chosen, total in zip(taken, self.of_stratum, strict=True):
            counted = sum(self.windows[index].requests for index in chosen)
            weights[chosen] = total / counted
        return weights
