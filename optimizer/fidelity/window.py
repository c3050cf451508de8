"""A stretch of a workload that stands for the whole."""

from __future__ import annotations

from typing import Final

import numpy as np

from boute.workload.arrays import Workload

__all__ = ["window_of"]

_PARTS: Final = 100  # that the workload is cut into to see its rate
_STARTS: Final = 4  # windows that are compared, in each of their own length


def window_of(workload: Workload, longest: int) -> Workload:
    """At most `longest` requests in a row, at about the rate that a request finds on average.

    That is the mean of the rate weighted by the requests: more than the mean over time, because
    more requests come when it is busy. The workload itself where it is no longer.
    """
    n = len(workload)
    if n <= longest:
        return workload
    starts = np.arange(0, n - longest + 1, max(longest // _STARTS, 1))
    lasts_s = workload.arrival_s[starts + longest - 1] - workload.arrival_s[starts]
    rates = longest / np.maximum(lasts_s, 1e-9)
    start = int(starts[np.argmin(np.abs(rates - _rate_of_a_request(workload)))])
    first_s, last_s = workload.arrival_s[start], workload.arrival_s[start + longest - 1]
    duration_s = float(last_s - first_s) * longest / (longest - 1)
    return workload.stretch(slice(start, start + longest), float(first_s), duration_s)


def _rate_of_a_request(workload: Workload) -> float:
    counts, edges = np.histogram(workload.arrival_s, bins=_PARTS, range=(0.0, workload.duration_s))
    return float((counts**2).sum() / counts.sum() / (edges[1] - edges[0]))
