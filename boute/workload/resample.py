"""A trace drawn again from itself: what statistically the same traffic might have been.

A block bootstrap. The window is filled with blocks of contiguous time, each cut from somewhere
near its place. Within a block arrivals keep their bursts and their lengths, and how many requests
the window holds varies as the trace itself varies. Blocks from near their place keep the profile of
a day (the local block bootstrap: Paparoditis and Politis, Statistical Inference for Stochastic
Processes 2002). The trace is taken as a circle, so that its ends count as much as its middle
(Politis and Romano, 1992).

Each block is used twice, in two places in a row. Two weeks of the same traffic differ by the luck
of both, with twice the variance of one; half as many draws that count twice have just that, and cut
bursts at no more seams than the blocks have.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from boute.workload.arrays import Floats, Ints, Trace

__all__ = ["block_length_s", "resample_trace"]

BLOCK_S: Final = 120.0
"""Longest block: longer than most requests live, and most bursts with the queue they leave."""

FEWEST_BLOCKS: Final = 10
"""Blocks of a short trace: of fewer too few are different."""

NEAR_S: Final = 1800.0
"""How far from its place a block may come from: within the hour a rate counts as steady."""


def block_length_s(duration_s: float) -> float:
    """Length of the blocks that a trace of `duration_s` is cut into."""
    return min(BLOCK_S, duration_s / FEWEST_BLOCKS)


def resample_trace(trace: Trace, rng: np.random.Generator, *, near_s: float = NEAR_S) -> Trace:
    """A trace of the same duration, made of blocks of `trace` from at most `near_s` away.

    A trace without duration, all of whose requests come at once, is its only resample.
    """
    if trace.duration_s <= 0.0:
        return trace
    block_s = block_length_s(trace.duration_s)
    blocks = math.ceil(trace.duration_s / block_s - 1e-9)
    places = np.arange(blocks, dtype=np.float64) * block_s
    # Every moment has to be within reach of some pair of places.
    reach_s = min(max(near_s, block_s), trace.duration_s / 2.0)
    pairs = places[::2] + block_s / 2.0
    while True:
        drawn = pairs + rng.uniform(-reach_s, reach_s, len(pairs))
        sources: Floats = np.repeat(drawn, 2)[: len(places)] % trace.duration_s
        taken, arrival_s = _assembled(trace, places, sources, block_s)
        if len(taken):  # all blocks may fall into gaps of a sparse trace, though hardly ever
            return Trace(
                trace.name,
                arrival_s,
                trace.input_tokens[taken],
                trace.output_tokens[taken],
                trace.duration_s,
            )


def _assembled(
    trace: Trace, places: Floats, sources: Floats, block_s: float
) -> tuple[Ints, Floats]:
    """Index into the trace and arrival of each request, of blocks [B] put at their places [B]."""
    whole_s = trace.duration_s
    ends = sources + np.minimum(block_s, whole_s - places)
    # A block that reaches past the end of the trace goes on at its beginning.
    low = np.column_stack([sources, np.zeros_like(sources)]).ravel()
    high = np.column_stack([np.where(ends >= whole_s, np.inf, ends), ends - whole_s]).ravel()
    shift_s = np.column_stack([places - sources, places - sources + whole_s]).ravel()
    first = np.searchsorted(trace.arrival_s, low)
    counts = np.maximum(np.searchsorted(trace.arrival_s, high) - first, 0)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    taken: Ints = np.repeat(first, counts) + within
    moved = trace.arrival_s[taken] + np.repeat(shift_s, counts)
    # Rounding at the edge of a block could put two arrivals out of order, or one past the end.
    return taken, np.clip(np.maximum.accumulate(moved), 0.0, whole_s)
