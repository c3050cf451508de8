"""What a trace looks like in a dozen numbers, for presets and for people."""

from __future__ import annotations

import numpy as np

from boute.documents import Document
from boute.workload.arrays import Floats, Ints, Trace

__all__ = ["Statistics", "describe"]


class Statistics(Document):
    """Summary of a trace.

    `interarrival_cv` is the coefficient of variation of the gaps between arrivals,
    `dispersion_10s` the variance over the mean of the counts in whole windows of 10 s (a Poisson
    process has 1), and `rank_correlation` Spearman's, of input with output length.
    """

    requests: int
    duration_s: float
    rate_per_s: float
    interarrival_cv: float
    dispersion_10s: float
    input_tokens_mean: float
    input_tokens_p50: float
    input_tokens_p95: float
    input_tokens_p99: float
    output_tokens_mean: float
    output_tokens_p50: float
    output_tokens_p95: float
    output_tokens_p99: float
    rank_correlation: float


def describe(trace: Trace) -> Statistics:
    """Measure a trace of at least three requests."""
    gaps = np.diff(trace.arrival_s)
    windows = int(trace.duration_s // 10.0)
    counts = np.histogram(trace.arrival_s, np.arange(windows + 1) * 10.0)[0]
    dispersed = windows > 1 and counts.any()
    shape = {f"input_tokens_{k}": v for k, v in _shape(trace.input_tokens).items()}
    shape |= {f"output_tokens_{k}": v for k, v in _shape(trace.output_tokens).items()}
    return Statistics(
        requests=len(trace),
        duration_s=trace.duration_s,
        rate_per_s=trace.rate_per_s,
        interarrival_cv=float(gaps.std() / gaps.mean()),
        dispersion_10s=float(counts.var() / counts.mean()) if dispersed else 1.0,
        rank_correlation=_rank_correlation(trace.input_tokens, trace.output_tokens),
        **shape,
    )


def _shape(values: Ints) -> dict[str, float]:
    p50, p95, p99 = (float(q) for q in np.percentile(values, [50, 95, 99]))
    return {"mean": float(values.mean()), "p50": p50, "p95": p95, "p99": p99}


def _rank_correlation(a: Ints, b: Ints) -> float:
    from scipy.stats import rankdata

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    ranks: tuple[Floats, Floats] = (rankdata(a), rankdata(b))
    return float(np.corrcoef(*ranks)[0, 1])
