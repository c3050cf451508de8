"""How far answers are from what was predicted of them, learnt from predictions held out.

The interval of a length is split-conformal (Lei et al., JASA 2018): quantiles of the residuals of
rows that were not fitted on, so its coverage assumes nothing of their distribution. Residuals are
of the logarithm and divided by the reach of their query (normalised conformal prediction:
Papadopoulos et al., ECML 2002): a query unlike those of the table has a wider interval.
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

__all__ = ["Spread", "fit_spread", "reach_of"]

_LEAST_VARIANCE: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Spread:
    """Residuals of K models, all [K].

    The variance of an answer's quality around a prediction q is `floor + slope q (1 - q)`: a coin
    has a floor of 0 and a slope of 1. The typical length times `mean` gives the mean, and times
    `low` and `high`, to the power of the query's reach, the interval.
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

    def around(self, quality: Floats, typical: Floats, reach: Floats) -> Prediction:
        """The prediction for rates and typical lengths [N, K], and the reach [N] of the queries."""
        variance = self.floor + self.slope * quality * (1.0 - quality)
        return Prediction(
            quality=quality,
            quality_sd=np.sqrt(variance),
            output_tokens=np.maximum(typical * self.mean, 1.0),
            output_low=np.maximum(typical * self.low ** reach[:, None], 1.0),
            output_high=np.maximum(typical * self.high ** reach[:, None], 1.0),
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


def reach_of(standardised: Floats) -> Floats:
    """How much wider than others the interval of each of N queries is, at least 1 [N].

    By their figures [N, F], standardised as they were where the router was fitted. The prediction
    of a line whose weights are uncertain is off by a variance that grows with the squares of the
    figures; here as much as answers vary themselves where a query is one standard deviation away in
    each. With a table of one kind of task that cannot be learnt, so it is a choice.
    """
    if not standardised.shape[1]:
        return np.ones(len(standardised))
    return np.asarray(np.sqrt(1.0 + (standardised**2).mean(axis=1)))


def fit_spread(
    predicted: Floats, quality: Floats, typical: Floats, tokens: Floats, reach: Floats
) -> Spread:
    """Fit to held-out predictions [M, K] of quality and typical length, to what came [M, K], and
    to the reach [M] of the queries."""
    variances = [_variance(q, truth) for q, truth in zip(predicted.T, quality.T, strict=True)]
    ratio = tokens / typical
    rows = len(ratio)
    ordered = np.sort(np.log(ratio) / reach[:, None], axis=0)
    # Among one more row than there are, the next query's residual is as likely in any place.
    tail = int((1.0 - COVERAGE) / 2.0 * (rows + 1))
    return Spread(
        floor=np.array([floor for floor, _ in variances]),
        slope=np.array([slope for _, slope in variances]),
        low=np.exp(ordered[max(tail - 1, 0)]),
        high=np.exp(ordered[min(rows - tail, rows - 1)]),
        mean=ratio.mean(axis=0),
    )


def _variance(predicted: Floats, quality: Floats) -> tuple[float, float]:
    """Floor and slope of the squared residuals, as non-negative least squares has them."""
    columns = np.column_stack([np.ones(len(predicted)), predicted * (1.0 - predicted)])
    squared = (quality - predicted) ** 2
    floor, slope = non_negative(columns, squared)
    return max(float(floor), _LEAST_VARIANCE), float(slope)
