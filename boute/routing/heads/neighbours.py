"""Nearest neighbours: a query is answered as the most similar rows of the table were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.routing.encoders.encoder import Encoded, Vectors
from boute.workload.arrays import Floats, Ints

__all__ = ["Neighbours", "fit_neighbours"]

NEIGHBOURS: Final = 100
# Of cosine similarity: a row this much nearer counts e times as much.
TEMPERATURE: Final = 0.1
# Rows that count as much as all neighbours together, at the mean quality of the table.
PRIOR_ROWS: Final = 10.0
MOST_ROWS: Final = 20_000
_LEAST_LENGTH: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Unit vectors [M, F] of the rows, and the quality of their answers [M, K]."""

    vectors: Vectors
    labels: Vectors

    def quality(self, encoded: Encoded) -> Floats:
        """Expected quality [N, K] in [0, 1]."""
        nearest, similarity = self.nearest(encoded)
        weights = np.exp((similarity - 1.0) / TEMPERATURE)[:, :, None]
        prior = PRIOR_ROWS * weights.mean(axis=1)
        mean = self.labels.mean(axis=0, dtype=np.float64)
        known = (weights * self.labels[nearest]).sum(axis=1) + prior * mean
        return np.asarray(known / (weights.sum(axis=1) + prior))

    def nearest(self, encoded: Encoded) -> tuple[Ints, Floats]:
        """Rows [N, k] that are nearest, nearest first, and their cosine similarity [N, k]."""
        count = min(NEIGHBOURS, len(self.vectors))
        similarity = _unit(encoded.dense) @ self.vectors.T
        picked = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
        found = np.take_along_axis(similarity, picked, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        rows = np.take_along_axis(picked, order, axis=1)
        return rows, np.take_along_axis(found, order, axis=1).astype(np.float64)

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """What is saved of it."""
        return {"vectors": self.vectors, "labels": self.labels}

    def check(self, figures: int, models: int, *, grams: bool) -> None:
        """Raise ValueError unless it is of these sizes."""
        rows = len(self.vectors)
        if grams or not rows or self.vectors.shape != (rows, figures):
            raise ValueError("rows have a number a figure")
        if self.labels.shape != (rows, models) or self.labels.min() < 0 or self.labels.max() > 1:
            raise ValueError("rows have a quality in [0, 1] a model")


def fit_neighbours(encoded: Encoded, labels: Floats, seed: int) -> Neighbours:
    """Keep the rows with their labels [M, K] in [0, 1]; a sample of them beyond MOST_ROWS."""
    rows = np.arange(len(encoded))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    return Neighbours(_unit(encoded.dense[rows]), labels[rows].astype(np.float32))


def _unit(dense: Floats) -> Vectors:
    length = np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), _LEAST_LENGTH)
    return np.asarray(dense / length, dtype=np.float32)
