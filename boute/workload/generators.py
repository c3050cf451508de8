"""Synthetic traces from the `generator` of a spec."""

from __future__ import annotations

from typing import Final

import numpy as np

from boute.errors import DataError
from boute.spec.workload import Generator
from boute.workload import arrivals
from boute.workload.arrays import Floats, Trace
from boute.workload.lengths import lognormal

__all__ = ["MAX_CV", "MAX_REQUESTS", "check_count", "generate"]

MAX_REQUESTS: Final = 30_000_000
"""A workload of more requests than this is a slip of the pen, and would not fit in memory."""

MAX_CV: Final = 30.0
"""Gamma gaps beyond this are nearly all zero; the burstiest public trace measures 13."""


def generate(generator: Generator, rng: np.random.Generator) -> Trace:
    """Draw a trace: arrivals, then input lengths, then output lengths.

    Raises DataError when no request or far too many would come of it.
    """
    check_count(generator.rate_per_s * generator.duration_s, where="workload.generator")
    at = _arrivals(generator, rng)
    if len(at) == 0:
        raise DataError(
            f"makes no request in {generator.duration_s:g} s at {generator.rate_per_s:g} a second",
            where="workload.generator",
            mend="raise rate_per_s or duration_s",
        )
    return Trace(
        generator.arrivals,
        at,
        lognormal(generator.input_tokens, len(at), rng),
        lognormal(generator.output_tokens, len(at), rng),
        generator.duration_s,
    )


def check_count(expected: float, *, where: str) -> None:
    """Raise DataError when a process would make more requests than fit in memory."""
    if expected > MAX_REQUESTS:
        raise DataError(
            f"would make {expected:.3g} requests, more than {MAX_REQUESTS}",
            where=where,
            mend="lower the rate or the duration",
        )


def _arrivals(generator: Generator, rng: np.random.Generator) -> Floats:
    rate, duration = generator.rate_per_s, generator.duration_s
    match generator.arrivals:
        case "poisson":
            return arrivals.poisson(rate, duration, rng)
        case "gamma":
            if generator.cv > MAX_CV:
                raise DataError(
                    f"should be at most {MAX_CV:g} (it is {generator.cv:g})",
                    where="workload.generator.cv",
                    mend="use on-off for longer bursts",
                )
            return arrivals.gamma(rate, duration, generator.cv, rng)
        case "on-off":
            return arrivals.on_off(
                rate,
                duration,
                on_s=generator.on_s,
                off_s=generator.off_s,
                burst_factor=generator.burst_factor,
                rng=rng,
            )
        case "diurnal":
            return arrivals.diurnal(
                rate,
                duration,
                period_s=generator.period_s,
                amplitude=generator.amplitude,
                rng=rng,
            )
