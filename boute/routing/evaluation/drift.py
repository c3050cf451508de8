"""Whether the queries that come are still those that a router was fitted on, by their scores.

Two tests of the scores seen against those of training, and what the plan's thresholds make of both.
PSI is the population stability index: with shares p and q of a bin, the sum of (q - p) ln(q / p)
(Siddiqi, Credit Risk Scorecards, 2006; it is the symmetric Kullback-Leibler divergence). Its usual
limits are 0.1 and 0.25. Of n scores PSI is about (bins - 1) / n by chance alone (Yurdakul and
Naranjo, Journal of Risk Model Validation 2020), which is said beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from boute.routing.thresholds import realised_fractions, thresholds_for
from boute.workload.arrays import Floats

__all__ = ["LITTLE", "MUCH", "Drift", "Shares", "Verdict", "drift", "psi"]

LITTLE: Final = 0.1
MUCH: Final = 0.25
LEAST_SCORES: Final = 100
_BINS: Final = 10
# Of a bin that holds nothing on one side: half a score.
_EMPTY: Final = 0.5
_LIKELY: Final = 0.01
# A share that is this far from its plan, in queries of a hundred, has moved.
_MOVED: Final = 0.02

Verdict = Literal["stable", "shifted", "drifted", "too few scores"]


@dataclass(frozen=True)
class Shares:
    """What the thresholds of a plan make of the scores: a share and a threshold a model.

    `restored` are the thresholds by which the scores seen would give the planned shares.
    """

    models: tuple[str, ...]
    thresholds: tuple[float, ...]
    planned: tuple[float, ...]
    seen: tuple[float, ...]
    restored: tuple[float, ...]

    @property
    def moved(self) -> bool:
        """Whether a model gets another share than planned, by more than two in a hundred."""
        gaps = [abs(a - b) for a, b in zip(self.planned, self.seen, strict=True)]
        return max(gaps) > _MOVED


@dataclass(frozen=True)
class Drift:
    """Scores seen against scores of training. `ks` is the greatest distance of the two shares
    under a score, `ks_p` the probability of one as great by chance."""

    scores: int
    training_scores: int
    psi: float
    psi_by_chance: float
    ks: float
    ks_p: float
    mean: float
    training_mean: float
    shares: Shares | None

    @property
    def verdict(self) -> Verdict:
        """`drifted` over a PSI of 0.25; `shifted` over 0.1, or where a share moved that the KS test
        does not put down to chance; else `stable`."""
        if self.scores < LEAST_SCORES:
            return "too few scores"
        if self.psi > MUCH:
            return "drifted"
        moved = self.shares is not None and self.shares.moved and self.ks_p < _LIKELY
        return "shifted" if self.psi > LITTLE or moved else "stable"


def drift(
    seen: Floats,
    training: Floats,
    *,
    models: Sequence[str] = (),
    thresholds: Sequence[float] = (),
    fractions: Sequence[float] | None = None,
) -> Drift:
    """Compare scores [N] with those of training [T]; neither may be empty.

    With the thresholds [K - 1] of a plan and its K models in cost order also by share; the planned
    fractions [K] are those of the training scores unless given.
    """
    from scipy.stats import ks_2samp

    test = ks_2samp(seen, training)
    bins = _bins(training)
    return Drift(
        scores=len(seen),
        training_scores=len(training),
        psi=psi(seen, training, bins),
        psi_by_chance=len(bins) * (1 / len(seen) + 1 / len(training)),
        ks=float(test.statistic),
        ks_p=float(test.pvalue),
        mean=float(seen.mean()),
        training_mean=float(training.mean()),
        shares=_shares(seen, training, models, thresholds, fractions) if models else None,
    )


def psi(seen: Floats, training: Floats, edges: Floats) -> float:
    """The population stability index of two samples over the bins between `edges` [B - 1]."""
    bins = len(edges) + 1
    counts = np.stack(
        [np.bincount(np.searchsorted(edges, s), minlength=bins) for s in (seen, training)]
    )
    held = np.maximum(counts[:, counts.any(axis=0)], _EMPTY)
    q, p = held / held.sum(axis=1, keepdims=True)
    return float(((q - p) * np.log(q / p)).sum())


def _bins(training: Floats) -> Floats:
    """Inner edges of ten bins of a tenth of the training scores each, fewer where they tie."""
    return np.unique(np.quantile(training, np.linspace(0, 1, _BINS + 1)[1:-1]))


def _shares(
    seen: Floats,
    training: Floats,
    models: Sequence[str],
    thresholds: Sequence[float],
    fractions: Sequence[float] | None,
) -> Shares:
    planned = realised_fractions(training, thresholds) if fractions is None else np.array(fractions)
    return Shares(
        models=tuple(models),
        thresholds=tuple(thresholds),
        planned=tuple(planned.tolist()),
        seen=tuple(realised_fractions(seen, thresholds).tolist()),
        restored=tuple(thresholds_for(seen, planned).tolist()),
    )
