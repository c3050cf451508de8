"""Whether predicted qualities mean what they say: calibration curves, ECE and Brier score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.workload.arrays import Floats

__all__ = ["BINS", "Reliability", "brier", "reliability"]

BINS: Final = 10


@dataclass(frozen=True)
class Reliability:
    """Predictions against what came: mean of both in each bin of equal mass, and their distance.

    `ece` is the expected calibration error, the mean over rows of the distance in their bin (Guo
    et al., ICML 2017, with bins of equal mass as in Nixon et al., CVPR workshops 2019). Bins of
    few rows are apart by chance: `ece_by_chance` is what a perfect prediction would show here.
    """

    predicted: tuple[float, ...]
    seen: tuple[float, ...]
    rows: tuple[int, ...]
    ece: float
    ece_by_chance: float
    brier: float


def reliability(predicted: Floats, quality: Floats, bins: int = BINS) -> Reliability:
    """Of predictions [M] and qualities [M], both in [0, 1], in `bins` bins of like numbers of rows.

    Equal predictions share a bin, so there may be fewer bins. Raise ValueError for no rows.
    """
    if not len(predicted):
        raise ValueError("there are no rows to hold a prediction against")
    order = np.argsort(predicted, kind="stable")
    forecast, seen = predicted[order], quality[order]
    cuts = np.linspace(0, len(order), min(bins, len(order)) + 1).round().astype(np.int64)[1:-1]
    starts = np.unique(np.append(0, np.searchsorted(forecast, forecast[cuts], side="left")))
    rows = np.diff(np.append(starts, len(order)))
    mean_forecast = np.add.reduceat(forecast, starts) / rows
    mean_seen = np.add.reduceat(seen, starts) / rows
    variance = np.maximum(np.add.reduceat(seen**2, starts) / rows - mean_seen**2, 0.0)
    # A normal variable is sqrt(2 / pi) of its standard deviation from its mean, in the mean.
    chance = math.sqrt(2 / math.pi) * np.sqrt(variance / rows)
    share = rows / len(order)
    return Reliability(
        predicted=tuple(mean_forecast.tolist()),
        seen=tuple(mean_seen.tolist()),
        rows=tuple(rows.tolist()),
        ece=float(share @ np.abs(mean_forecast - mean_seen)),
        ece_by_chance=float(share @ chance),
        brier=brier(predicted, quality),
    )


def brier(predicted: Floats, quality: Floats) -> float:
    """Mean squared distance of predictions [M] and qualities [M] (Brier, 1950)."""
    return float(np.mean((predicted - quality) ** 2))
