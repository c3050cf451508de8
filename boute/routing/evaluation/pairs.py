"""A router between two of its models: what it recovers, beside chance and beside knowing all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boute.routing.evaluation.bootstrap import Estimate, Resamples, estimate
from boute.routing.evaluation.curves import apgr, cpt, gain_curve
from boute.workload.arrays import Floats

__all__ = ["PairResult", "all_pairs", "apgr_difference", "neighbours", "pair_result"]


@dataclass(frozen=True)
class PairResult:
    """A score as a router between two models, with 95% intervals over resampled groups.

    `apgr` is above 0.5, which is chance, where the score knows something; `oracle` is the APGR of
    knowing both qualities, and `of_oracle` the part of its gain over chance that is reached.
    `cpt_50` and `cpt_80` are shares in [0, 1].
    """

    weak: str
    strong: str
    weak_quality: float
    strong_quality: float
    apgr: Estimate
    cpt_50: Estimate
    cpt_80: Estimate
    oracle: float
    of_oracle: Estimate

    @property
    def beats_random(self) -> bool:
        """Whether the interval of APGR - 0.5, the gain over a random score, excludes zero."""
        return self.apgr.low > 0.5


def neighbours(models: int) -> list[tuple[int, int]]:
    """Neighbouring pairs of models in cost order, and the cheapest with the dearest."""
    pairs = list(itertools.pairwise(range(models)))
    return [*pairs, (0, models - 1)] if models > 2 else pairs


def all_pairs(models: int) -> list[tuple[int, int]]:
    """Every two models, the cheaper first."""
    return list(itertools.combinations(range(models), 2))


def pair_result(
    names: Sequence[str], quality: Floats, score: Floats, resamples: Resamples
) -> PairResult | None:
    """A score [M] between two models with quality [M, 2], the cheaper first.

    None where the dearer model is no better on these rows: there is no gap to recover. Where that
    is so in more than one resample in forty, the intervals are NaN.
    """
    gain = quality[:, 1] - quality[:, 0]
    if gain.mean() <= 0:
        return None
    found = _measures(gain, score, None)
    blocks = [_measures(gain, score, weights) for weights in resamples.blocks()]
    resampled = np.concatenate(blocks, axis=1)
    values = [estimate(float(at[0]), of) for at, of in zip(found, resampled, strict=True)]
    weak, strong = quality.mean(axis=0)
    return PairResult(
        weak=names[0],
        strong=names[1],
        weak_quality=float(weak),
        strong_quality=float(strong),
        apgr=values[0],
        cpt_50=values[1],
        cpt_80=values[2],
        oracle=float(apgr(gain_curve(gain, gain))[0]),
        of_oracle=values[3],
    )


def _measures(gain: Floats, score: Floats, weights: Floats | None) -> Floats:
    """APGR, CPT(50), CPT(80) and the part of the oracle's gain, [4, B]."""
    curve, oracle = gain_curve(gain, score, weights), gain_curve(gain, gain, weights)
    reached, best = apgr(curve), apgr(oracle)
    room = best - 0.5
    part = np.divide(reached - 0.5, room, out=np.full(len(room), np.nan), where=room > 1e-9)
    return np.stack([reached, cpt(curve, 0.5), cpt(curve, 0.8), part])


def apgr_difference(
    quality: Floats, score: Floats, other: Floats, resamples: Resamples
) -> Estimate:
    """How much more APGR one score [M] has than another on the same rows, quality [M, 2].

    Both are judged on each resample, so what they share falls out of the interval.
    """
    gain = quality[:, 1] - quality[:, 0]

    def both(weights: Floats | None) -> Floats:
        return apgr(gain_curve(gain, score, weights)) - apgr(gain_curve(gain, other, weights))

    resampled = np.concatenate([both(weights) for weights in resamples.blocks()])
    return estimate(float(both(None)[0]), resampled)
