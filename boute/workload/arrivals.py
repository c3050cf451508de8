"""Arrival processes: times in [0, duration_s), ascending, from a generator of random numbers.

Processes whose rate moves are drawn exactly. Renewal processes are drawn in operational time, in
which the mean rate is one, and mapped back through the inverse of the cumulative rate (Cinlar,
Introduction to Stochastic Processes, 1975, section 4.7); the sinusoid is thinned (Lewis and
Shedler, Naval Research Logistics 26, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from boute.workload.arrays import Floats

__all__ = ["diurnal", "gamma", "on_off", "poisson", "renewal", "rescaled"]

Draw = Callable[[int], Floats]


def poisson(rate_per_s: float, duration_s: float, rng: np.random.Generator) -> Floats:
    """Arrivals of a Poisson process [N], N Poisson with mean rate_per_s * duration_s."""
    count = rng.poisson(rate_per_s * duration_s)
    return np.sort(rng.random(count)) * duration_s


def gamma(rate_per_s: float, duration_s: float, cv: float, rng: np.random.Generator) -> Floats:
    """Arrivals with gamma interarrival times of coefficient of variation `cv` [N].

    The process is stationary: the wait for the first arrival is the excess of a running gap, whose
    length is gamma with one more in the shape, so the mean count is exactly rate * duration.
    """
    # Below one in a million the gaps are equal to all precision, and the shape would overflow.
    shape = 1.0 / max(cv, 1e-6) ** 2
    first = rng.random() * rng.gamma(shape + 1.0, 1.0 / shape)
    at = renewal(lambda n: rng.gamma(shape, 1.0 / shape, n), rate_per_s * duration_s, first=first)
    return np.minimum(at / rate_per_s, duration_s)


def on_off(
    rate_per_s: float,
    duration_s: float,
    *,
    on_s: float,
    off_s: float,
    burst_factor: float,
    rng: np.random.Generator,
) -> Floats:
    """Poisson arrivals whose rate alternates: off_s quiet seconds, then on_s at the burst's rate.

    The burst runs at burst_factor * rate_per_s; the quiet rate keeps the mean over a cycle at
    rate_per_s.
    """
    cycle_s = on_s + off_s
    quiet = max(rate_per_s * (cycle_s - burst_factor * on_s) / off_s, 0.0)
    mean_of_cycle = quiet * off_s + burst_factor * rate_per_s * on_s
    times, means = [0.0, off_s, cycle_s], [0.0, quiet * off_s, mean_of_cycle]
    whole, rest_s = divmod(duration_s, cycle_s)
    total = whole * mean_of_cycle + float(np.interp(rest_s, times, means))
    cycle, within = np.divmod(poisson(1.0, total, rng), mean_of_cycle)
    at = cycle * cycle_s + np.interp(within, means, times)
    return np.sort(np.minimum(at, duration_s))


def diurnal(
    rate_per_s: float,
    duration_s: float,
    *,
    period_s: float,
    amplitude: float,
    rng: np.random.Generator,
) -> Floats:
    """Poisson arrivals at rate_per_s * (1 + amplitude * sin(2 pi t / period_s)) [N]."""
    at = poisson(rate_per_s * (1.0 + amplitude), duration_s, rng)
    rate = (1.0 + amplitude * np.sin(2.0 * np.pi * at / period_s)) / (1.0 + amplitude)
    return at[rng.random(len(at)) < rate]


def renewal(draw: Draw, total: float, *, first: float | None = None) -> Floats:
    """Arrivals in [0, total) with independent gaps of mean one [N].

    `draw(n)` gives n gaps; `first` is the wait for the first arrival, a gap by default.
    """
    size = int(total + 4.0 * math.sqrt(total)) + 16
    last = -math.inf
    parts: list[Floats] = []
    while last < total:
        gaps = draw(size)
        if not parts and first is not None:
            gaps[0] = first
        parts.append(np.cumsum(gaps) + (last if parts else 0.0))
        last = float(parts[-1][-1])
    at = np.concatenate(parts)
    return at[at < total]


def rescaled(at: Floats, edges: Floats, cumulative: Floats) -> Floats:
    """Times in seconds of arrivals `at` [N] in operational time.

    `cumulative` [B+1] is the mean number of arrivals up to each of `edges` [B+1], in seconds.
    """
    # Rounding at an edge could put two arrivals out of order, or one past the end.
    return np.sort(np.minimum(np.interp(at, cumulative, edges), edges[-1]))
