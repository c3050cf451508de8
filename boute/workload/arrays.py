"""The two shapes a workload takes: a trace, and a trace whose requests are known queries."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from boute.workload.windows import Thinning

__all__ = ["Floats", "Ints", "Trace", "Workload"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trace:
    """Requests as logged or generated, N of them, in order of arrival.

    `arrival_s` [N] starts at or after 0 and does not decrease; `input_tokens` and `output_tokens`
    [N] are at least 1. `duration_s` is the length of the window, at least the last arrival.
    """

    name: str
    arrival_s: Floats
    input_tokens: Ints
    output_tokens: Ints
    duration_s: float

    def __post_init__(self) -> None:
        n = len(self.arrival_s)
        if n == 0:
            raise ValueError("a trace holds at least one request")
        if not (len(self.input_tokens) == len(self.output_tokens) == n):
            raise ValueError("the columns of a trace have one length")
        if self.arrival_s[0] < 0 or np.any(np.diff(self.arrival_s) < 0):
            raise ValueError("arrivals ascend from 0")
        if self.input_tokens.min() < 1 or self.output_tokens.min() < 1:
            raise ValueError("token counts are at least 1")
        if not self.duration_s >= self.arrival_s[-1]:
            raise ValueError("a trace lasts at least until its last arrival")

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def rate_per_s(self) -> float:
        """Mean arrivals a second over the window."""
        return len(self) / self.duration_s if self.duration_s > 0 else float(len(self))


@dataclass(frozen=True, eq=False)
class Workload:
    """A trace of N requests, each a known query: what the K models would do with it.

    `models` [K] are in the order of the spec; `output_tokens` [N, K] are at least 1; `score` [N]
    in [0, 1] is the router's, higher for harder, from a fit that did not see the query; `row` [N]
    is the query's row in the quality table. With `thinning` the requests are windows, laid end to
    end over `duration_s`, that stand for a longer trace.
    """

    models: tuple[str, ...]
    arrival_s: Floats
    input_tokens: Ints
    output_tokens: Ints
    score: Floats
    row: Ints
    duration_s: float
    thinning: Thinning | None = None

    def __len__(self) -> int:
        return len(self.arrival_s)

    def stretch(self, chosen: slice, starts_s: float, duration_s: float) -> Workload:
        """The requests of a slice, on a clock that begins at `starts_s`; not thinned."""
        return replace(
            self,
            arrival_s=np.maximum(self.arrival_s[chosen] - starts_s, 0.0),
            input_tokens=self.input_tokens[chosen],
            output_tokens=self.output_tokens[chosen],
            score=self.score[chosen],
            row=self.row[chosen],
            duration_s=duration_s,
            thinning=None,
        )

    @property
    def rate_per_s(self) -> float:
        """Mean arrivals a second over the window, over the whole trace if this one is thinned."""
        if self.thinning is not None:
            return self.thinning.requests / self.thinning.duration_s
        return len(self) / self.duration_s if self.duration_s > 0 else float(len(self))

    @property
    def peak_rate_per_s(self) -> float:
        """Arrivals a second that a fleet is sized for: in the busiest window of a thinned trace.

        The mean of any other: what moves within it is left to the simulation.
        """
        return self.rate_per_s if self.thinning is None else self.thinning.peak_rate_per_s
