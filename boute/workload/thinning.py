"""A long trace cut down to a few windows that stand for it.

The trace is cut into windows of equal length, of which bursts survive whole. The busiest is always
taken. The others are sorted by how many requests they hold into strata, and two windows of each are
drawn, one early and one late in the trace, so that rates and hours are both covered. Each is
simulated on its own: after a lead-in that fills the queues, and with requests behind it. A queue
that goes on from window to window is not seen: a fleet that a window overloads counts as unstable.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from boute.workload.arrays import Floats, Ints, Trace
from boute.workload.windows import STRATA, Thinning, Window

__all__ = ["THIN_ABOVE", "THIN_TO", "thin"]

THIN_ABOVE: Final = 2_000_000
"""A trace of more requests is thinned unasked: simulating one plan on it takes seconds."""

THIN_TO: Final = 400_000
"""Requests that are simulated then, about: half a second for a plan."""

MARGIN_S: Final = 60.0
"""Longest stretch simulated before and after what is counted: longer than most requests live."""

_STREAM: Final = 5
"""Keeps these draws apart from others that a study makes with the same seed."""


def thin(trace: Trace, thin_to: int | None, seed: int) -> tuple[Trace, Thinning | None]:
    """The windows of a trace laid end to end, and what they stand for.

    A trace that is short enough is returned as it is, with None: one of at most `thin_to` requests,
    or of at most THIN_ABOVE where that is None, and one that comes in so few bursts that there are
    not enough windows to choose from. The requests are about `thin_to`.
    """
    if len(trace) <= (THIN_ABOVE if thin_to is None else thin_to):
        return trace, None
    taken = 2 * STRATA + 1
    window_s = (thin_to or THIN_TO) / trace.rate_per_s / taken
    margin_s = min(MARGIN_S, window_s / 4.0)
    edges = np.linspace(
        0.0, trace.duration_s, math.ceil(trace.duration_s / (window_s - 2.0 * margin_s)) + 1
    )
    places = np.searchsorted(trace.arrival_s, edges)
    places[-1] = len(trace)
    counts = np.diff(places)
    if np.count_nonzero(counts) < 2 * taken:
        return trace, None
    rng = np.random.default_rng([_STREAM, seed])
    stratum_of, of_stratum = _draw(counts, rng)
    windows, pieces, arrivals = [], [], []
    first, starts_s = 0, 0.0
    for cell in sorted(stratum_of):
        low_s = max(edges[cell] - margin_s, 0.0)
        high_s = min(edges[cell + 1] + margin_s, trace.duration_s)
        low, high = np.searchsorted(trace.arrival_s, [low_s, high_s])
        high = max(high, places[cell + 1])  # the last request may come at the very end
        windows.append(
            Window(
                first=first,
                counted=first + int(places[cell] - low),
                uncounted=first + int(places[cell + 1] - low),
                last=first + int(high - low),
                starts_s=starts_s,
                duration_s=float(high_s - low_s),
                stratum=stratum_of[cell],
            )
        )
        pieces.append(slice(low, high))
        arrivals.append(trace.arrival_s[low:high] - low_s + starts_s)
        first += int(high - low)
        starts_s += float(high_s - low_s)
    thinning = Thinning(
        requests=len(trace),
        duration_s=trace.duration_s,
        peak_rate_per_s=float(counts.max() / (edges[1] - edges[0])),
        windows=tuple(windows),
        of_stratum=of_stratum,
    )
    return _joined(trace, pieces, arrivals, starts_s), thinning


def _draw(counts: Ints, rng: np.random.Generator) -> tuple[dict[int, int | None], tuple[int, ...]]:
    """The stratum of each window drawn, by its place, and the requests of each stratum.

    `counts` are the requests of every window in order of time.
    """
    busiest = int(np.argmax(counts))
    order = np.argsort(counts, kind="stable")
    order = order[(counts[order] > 0) & (order != busiest)]
    drawn: dict[int, int | None] = {busiest: None}
    totals = []
    for stratum, members in enumerate(np.array_split(order, STRATA)):
        for half in np.array_split(np.sort(members), 2):
            drawn[int(rng.choice(half))] = stratum
        totals.append(int(counts[members].sum()))
    return drawn, tuple(totals)


def _joined(trace: Trace, pieces: list[slice], arrivals: list[Floats], duration_s: float) -> Trace:
    arrival_s = np.concatenate(arrivals)
    return Trace(
        trace.name,
        # Rounding where windows meet could put two arrivals out of order, or one past the end.
        np.minimum(np.maximum.accumulate(arrival_s), duration_s),
        np.concatenate([trace.input_tokens[piece] for piece in pieces]),
        np.concatenate([trace.output_tokens[piece] for piece in pieces]),
        duration_s,
    )
