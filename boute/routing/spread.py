"""How far answers are from what was predicted of them, learnt from predictions held out.

The interval of a length is split-conformal (Lei et al., JASA 2018): quantiles of the residuals of
rows that were not fitted on, so its coverage assumes nothing of their distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.least_squares import non_negative
from boute.routing.prediction import COVERAGE, Prediction
from boute.workload.arrays import Floats

__all__ = ["Spread", "fit_spread"]

_LEAST_VARIANCE: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Spread:
    """Residuals of K models, all [K].

    The variance of an answer's quality around a prediction q is `floor + slope q (1 - q)`: a coin
    has a floor of 0 and a slope of 1. The typical length times `low`, `high` and `mean` gives the
    interval and the mean.
    """

    floor: Floats
    slope: Floats
    low: Floats
    high: Floats
    mean: Floats

    def check(self, models: int) -> None:
        """Raise ValueError unless it holds sane numbers for so many models."""
        for array in self.arrays().values():
            if array.shape != (models,):
                raise ValueError("a spread has an entry a model")
        low, high, mean = self.low, self.high, self.mean
        if (self.floor < 0).any() or (self.slope < 0).any() or (low <= 0).any():
            raise ValueError("variances are not negative and lengths positive")
        if (low > high).any() or (mean <= 0).any():
            raise ValueError("intervals have a lower and an upper end")

    def around(self, quality: Floats, typical: Floats) -> Prediction:
        """The prediction for rates and typical lengths [N, K]."""
        variance = self.floor + self.slope * quality * (1.0 - quality)
        return Prediction(
            quality=quality,
            quality_sd=np.sqrt(variance),
            output_tokens=np.maximum(typical * self.mean, 1.0),
            output_low=np.maximum(typical * self.low, 1.0),
            output_high=np.maximum(typical * self.high, 1.0),
        )

    def arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """What is saved of it."""
        return {
            "floor": self.floor,
            "slope": self.slope,
            "low": self.low,
            "high": self.high,
            "mean": self.mean,
        }


def fit_spread(predicted: Floats, quality: Floats, typical: Floats, tokens: Floats) -> Spread:
    """Fit to held-out predictions [M, K] of quality and typical length, and to what came [M, K]."""
    variances = [_variance(q, truth) for q, truth in zip(predicted.T, quality.T, strict=True)]
    ratio = tokens / typical
    rows = len(ratio)
    ordered = np.sort(ratio, axis=0)
    # Among one more row than there are, the next query's residual is as likely in any place.
    tail = int((1.0 - COVERAGE) / 2.0 * (rows + 1))
    return Spread(
        floor=np.array([floor for floor, _ in variances]),
        slope=np.array([slope for _, slope in variances]),
        low=ordered[max(tail - 1, 0)],
        high=ordered[min(rows - tail, rows - 1)],
        mean=ratio.mean(axis=0),
    )


def _variance(predicted: Floats, quality: Floats) -> tuple[float, float]:
    """Floor and slope of the squared residuals, as non-negative least squares has them."""
    columns = np.column_stack([np.ones(len(predicted)), predicted * (1.0 - predicted)])
    squared = (quality - predicted) ** 2
    floor, slope = non_negative(columns, squared)
    return max(float(floor), _LEAST_VARIANCE), float(slope)
