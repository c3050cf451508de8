"""Mean and percentiles of latencies, by the names that metrics give them."""

from __future__ import annotations

import numpy as np

from boute.workload.arrays import Floats

__all__ = ["statistic"]


def statistic(values: Floats, name: str) -> float:
    """`mean` or a percentile such as `p95` of values [n]; 0 of none.

    The percentile is numpy's, interpolated between the two nearest ranks, a few times faster.
    """
    if len(values) == 0:
        return 0.0
    if name == "mean":
        return float(values.mean())
    place = float(name.removeprefix("p")) / 100.0 * (len(values) - 1)
    rank = int(place)
    if rank + 1 == len(values):
        return float(values.max())
    ordered = np.partition(values, rank)
    low, high = ordered[rank], ordered[rank + 1 :].min()
    return float(low + (high - low) * (place - rank))
