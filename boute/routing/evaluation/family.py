"""A router over all of its models: quality against cost, in the measure of RouterBench.

Each query goes to the model with the most predicted quality minus a price times its predicted cost;
going through the prices gives points of mean cost and mean quality. AIQ, RouterBench's area under
the curve, is the mean height of their non-decreasing convex hull between the cost of the cheapest
model alone and that of the dearest (Hu et al., RouterBench, arXiv 2403.12031, section 3.3). Chance
is the same predictions dealt to other rows at random: it knows the models and nothing of a query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.routing.evaluation.bootstrap import Estimate, Resamples, estimate
from boute.workload.arrays import Floats, Ints

__all__ = ["CostQuality", "FamilyResult", "aiq", "choices", "family_result", "hull"]

_PRICES: Final = 60
_DEALS: Final = 4
_SEED: Final = 0


@dataclass(frozen=True)
class CostQuality:
    """A point of the curve: mean cost and mean quality of a query, with its 95% interval."""

    cost: float
    quality: Estimate


@dataclass(frozen=True)
class FamilyResult:
    """A router over a family, with 95% intervals over resampled groups.

    `gain` is AIQ less that of chance; `of_oracle` the part that it is of the oracle's gain.
    `cheapest` and `dearest` are mean costs of a query, the ends of the curve.
    """

    cheapest: float
    dearest: float
    aiq: Estimate
    random: float
    oracle: float
    gain: Estimate
    of_oracle: Estimate
    curve: tuple[CostQuality, ...]


def family_result(
    quality: Floats, cost: Floats, predicted: Floats, predicted_cost: Floats, resamples: Resamples
) -> FamilyResult | None:
    """Of quality and cost [M, K], and what was predicted of them [M, K].

    None where all models cost the same.
    """
    means = cost.mean(axis=0)
    if np.ptp(means) <= 0:
        return None
    ends = (int(means.argmin()), int(means.argmax()))
    dealt = np.random.default_rng(_SEED).permuted(
        np.tile(np.arange(len(quality)), (_DEALS, 1)), axis=1
    )
    known = [(predicted, predicted_cost), (quality, cost)]
    known += [(predicted[rows], predicted_cost[rows]) for rows in dealt]
    points = [_Points.of(quality, cost, choices(*each), ends) for each in known]
    found = np.array([each.aiq(None) for each in points])
    resampled = np.concatenate(
        [np.array([each.aiq(weights) for each in points]) for weights in resamples.blocks()], axis=1
    )
    both = [np.stack(_router_oracle_chance(values)) for values in (found, resampled)]
    gains = [values[0] - values[2] for values in both]
    rooms = [np.maximum(values[1] - values[2], 1e-12) for values in both]
    return FamilyResult(
        cheapest=float(means[ends[0]]),
        dearest=float(means[ends[1]]),
        aiq=estimate(float(found[0, 0]), resampled[0]),
        random=float(both[0][2, 0]),
        oracle=float(found[1, 0]),
        gain=estimate(float(gains[0][0]), gains[1]),
        of_oracle=estimate(float((gains[0] / rooms[0])[0]), gains[1] / rooms[1]),
        curve=points[0].curve(resamples),
    )


def choices(predicted: Floats, cost: Floats) -> Ints:
    """The model of each row [G, M] at G prices of quality, from cost at any price to none.

    Prices are quantiles of those at which two models change places somewhere.
    """
    models = predicted.shape[1]
    left, right = np.triu_indices(models, 1)
    gap = predicted[:, right] - predicted[:, left]
    extra = cost[:, right] - cost[:, left]
    ratio = np.divide(gap, extra, out=np.zeros_like(gap), where=extra != 0)
    turning = ratio[ratio > 0] if (ratio > 0).any() else np.zeros(1)
    prices = np.unique(np.quantile(turning, np.linspace(0, 1, _PRICES)))
    chosen = [(predicted - price * cost).argmax(axis=1) for price in (0.0, *prices.tolist())]
    return np.array([*chosen, cost.argmin(axis=1)], dtype=np.int64)


def hull(cost: Floats, quality: Floats) -> Floats:
    """The non-decreasing convex hull [H, 2] of points [P], from above: what mixtures reach."""
    order = np.lexsort((-quality, cost))
    kept: list[tuple[float, float]] = []
    for x, y in zip(cost[order].tolist(), quality[order].tolist(), strict=True):
        if kept and y <= kept[-1][1]:
            continue
        while len(kept) > 1 and _below(kept[-2], kept[-1], (x, y)):
            kept.pop()
        kept.append((x, y))
    return np.array(kept)


def aiq(cost: Floats, quality: Floats, cheapest: float, dearest: float) -> float:
    """The mean height of the hull of points [P] between two costs."""
    points = hull(cost, quality)
    inside = points[(points[:, 0] > cheapest) & (points[:, 0] < dearest), 0]
    grid = np.concatenate([[cheapest], inside, [dearest]])
    height = np.interp(grid, points[:, 0], points[:, 1])
    return float(np.trapezoid(height, grid) / (dearest - cheapest))


def _below(
    first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]
) -> bool:
    """Whether the middle one is on or under the line between the others."""
    rise = (middle[1] - first[1]) * (last[0] - first[0])
    return rise <= (last[1] - first[1]) * (middle[0] - first[0])


def _router_oracle_chance(values: Floats) -> tuple[Floats, Floats, Floats]:
    return values[0], values[1], values[2:].mean(axis=0)


@dataclass(frozen=True, eq=False)
class _Points:
    """Quality and cost [G, M] of each row at each price; the last two are single models."""

    quality: Floats
    cost: Floats

    @classmethod
    def of(cls, quality: Floats, cost: Floats, chosen: Ints, ends: tuple[int, int]) -> _Points:
        single = np.repeat(np.array(ends)[:, None], len(quality), axis=1)
        rows = np.concatenate([np.unique(chosen, axis=0), single])
        each = np.arange(len(quality))
        return cls(quality[each, rows], cost[each, rows])

    def means(self, weights: Floats | None) -> tuple[Floats, Floats]:
        """Mean cost and quality [G, B] under weights [M, B]."""
        if weights is None:
            weights = np.ones((self.quality.shape[1], 1))
        total = weights.sum(axis=0)
        return self.cost @ weights / total, self.quality @ weights / total

    def aiq(self, weights: Floats | None) -> list[float]:
        """AIQ [B], between what the two ends cost on the same rows."""
        cost, quality = self.means(weights)
        return [aiq(c, q, c[-2], c[-1]) for c, q in zip(cost.T, quality.T, strict=True)]

    def curve(self, resamples: Resamples) -> tuple[CostQuality, ...]:
        """The points on the hull, cheapest first, each with its interval."""
        cost, quality = (values[:, 0] for values in self.means(None))
        blocks = [self.means(weights)[1] for weights in resamples.blocks()]
        spread = np.concatenate(blocks, axis=1)
        found = {(c, q): i for i, (c, q) in enumerate(zip(cost, quality, strict=True))}
        order = [found[c, q] for c, q in hull(cost, quality)]
        return tuple(
            CostQuality(float(cost[i]), estimate(float(quality[i]), spread[i])) for i in order
        )
