"""Matrix factorisation: a query and a model each have a place in a space of few dimensions.

The chance that a model answers well is the logistic of the product of both places plus the model's
own level, as RouteLLM's matrix factorisation has it (arXiv 2406.18665, section 3.2), with the
query's place a linear map of its encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.routing.encoders.encoder import Encoded, Vectors
from boute.routing.heads.linear import logistic
from boute.routing.heads.minimise import minimised
from boute.workload.arrays import Floats

__all__ = ["Factorisation", "fit_factorisation"]

DIMENSIONS: Final = 8
# L2 penalty on either factor, for labels that are summed over rows.
PENALTY: Final = 10.0
_LEAST_RATE: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Factorisation:
    """A map [F, d] of figures to places, places of models [d, K] and their levels [K]."""

    places: Vectors
    models: Vectors
    levels: Floats

    def quality(self, encoded: Encoded) -> Floats:
        """Expected quality [N, K] in [0, 1]."""
        return logistic(encoded.dense @ self.places @ self.models + self.levels)

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """What is saved of it."""
        return {"places": self.places, "models": self.models, "levels": self.levels}

    def check(self, figures: int, models: int, *, grams: bool) -> None:
        """Raise ValueError unless it is of these sizes."""
        inner = self.models.shape[0] if self.models.ndim == 2 else 0
        fits = self.places.shape == (figures, inner) and self.models.shape == (inner, models)
        if grams or not fits or self.levels.shape != (models,):
            raise ValueError("factors have the sizes of figures and models")


def fit_factorisation(encoded: Encoded, labels: Floats, seed: int) -> Factorisation:
    """Fit to labels [M, K] in [0, 1] by cross-entropy."""
    dense = encoded.dense
    figures, count = dense.shape[1], labels.shape[1]
    inner = min(DIMENSIONS, count)
    mean = np.clip(labels.mean(axis=0), _LEAST_RATE, 1 - _LEAST_RATE)
    rng = np.random.default_rng(seed)
    start = [
        0.1 * rng.standard_normal((figures, inner)),
        0.1 * rng.standard_normal((inner, count)),
        np.log(mean / (1 - mean)),
    ]
    cuts = np.cumsum([part.size for part in start])[:-1]

    def parts(flat: Floats) -> tuple[Floats, Floats, Floats]:
        places, models, levels = np.split(flat, cuts)
        return places.reshape(figures, inner), models.reshape(inner, count), levels

    def loss(flat: Floats) -> tuple[float, Floats]:
        places, models, levels = parts(flat)
        at = dense @ places
        logits = at @ models + levels
        excess = logistic(logits) - labels
        value = float((np.logaddexp(0.0, logits) - labels * logits).sum())
        value += 0.5 * PENALTY * float((places**2).sum() + (models**2).sum())
        slopes = (
            dense.T @ (excess @ models.T) + PENALTY * places,
            at.T @ excess + PENALTY * models,
            excess.sum(axis=0),
        )
        return value, np.concatenate([slope.ravel() for slope in slopes])

    places, models, levels = parts(minimised(loss, np.concatenate([p.ravel() for p in start])))
    return Factorisation(places.astype(np.float32), models.astype(np.float32), levels.copy())
