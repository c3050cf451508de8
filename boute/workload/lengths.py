"""Token lengths: clipped lognormal, or drawn from tables of quantiles."""

from __future__ import annotations

import numpy as np

from boute.spec.workload import LengthDistribution
from boute.workload.arrays import Floats, Ints

__all__ = ["from_quantiles", "lognormal", "table_mean"]


def lognormal(lengths: LengthDistribution, count: int, rng: np.random.Generator) -> Ints:
    """Whole lengths [count] with the given median and sigma of the logarithm, clipped."""
    logs = np.log(lengths.median) + lengths.sigma * rng.standard_normal(count)
    logs = np.clip(logs, np.log(lengths.minimum), np.log(lengths.maximum))
    drawn: Ints = np.rint(np.exp(logs)).astype(np.int64)
    return drawn


def from_quantiles(
    uniform: Floats, probabilities: Floats, values: Floats, rows: Ints | None = None
) -> Floats:
    """Inverse of a distribution function given by quantiles, linear between them [N].

    `uniform` [N] in [0, 1]; `values` is [P] at `probabilities` [P], or [R, P] with `rows` [N]
    telling which of the R tables each draw is from.
    """
    if rows is None:
        return np.interp(uniform, probabilities, values)
    right = np.clip(np.searchsorted(probabilities, uniform), 1, len(probabilities) - 1)
    low, high = probabilities[right - 1], probabilities[right]
    part = (uniform - low) / (high - low)
    return values[rows, right - 1] * (1.0 - part) + values[rows, right] * part


def table_mean(probabilities: Floats, values: Floats) -> float:
    """Mean of the distribution that `from_quantiles` draws from."""
    return float(np.sum(np.diff(probabilities) * (values[1:] + values[:-1]) / 2.0))
