"""Gradient-boosted trees, fitted by scikit-learn and applied as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boute.routing.encoders.encoder import Encoded, Vectors
from boute.workload.arrays import Floats

__all__ = ["Boosted", "fit_boosted"]

TREES: Final = 60
DEPTH: Final = 3
LEARNING_RATE: Final = 0.08
LEAST_LEAF_ROWS: Final = 20
_NODES: Final = 2 ** (DEPTH + 1) - 1

Nodes = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Boosted:
    """T trees for each of K models.

    Trees are whole, of depth DEPTH: node i has children 2 i + 1 and 2 i + 2, and a figure at or
    below the threshold goes to the first. `figure` and `threshold` [K, T, NODES]; `value`
    [K, T, NODES] is added to `start` [K] where a query ends.
    """

    figure: Nodes
    threshold: Vectors
    value: Vectors
    start: Floats

    def quality(self, encoded: Encoded) -> Floats:
        """Expected quality [N, K] in [0, 1]."""
        count, trees = self.figure.shape[:2]
        model, tree = np.arange(count)[:, None], np.arange(trees)
        sums = np.empty((len(encoded), count))
        for row, figures in enumerate(encoded.dense):
            node = np.zeros((count, trees), dtype=np.int64)
            for _ in range(DEPTH):
                asked = figures[self.figure[model, tree, node]]
                node = 2 * node + 1 + (asked > self.threshold[model, tree, node])
            sums[row] = self.value[model, tree, node].sum(axis=1, dtype=np.float64)
        return np.asarray((sums + self.start).clip(0.0, 1.0))

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """What is saved of it."""
        return {
            "figure": self.figure,
            "threshold": self.threshold,
            "value": self.value,
            "start": self.start,
        }

    def check(self, figures: int, models: int, *, grams: bool) -> None:
        """Raise ValueError unless it is of these sizes, and no tree asks for what is not there."""
        trees = self.figure.shape[1] if self.figure.ndim == 3 else -1
        shapes = {array.shape for array in (self.figure, self.threshold, self.value)}
        if grams or shapes != {(models, trees, _NODES)} or self.start.shape != (models,):
            raise ValueError("trees have the sizes of their models")
        if self.figure.size and (self.figure.min() < 0 or self.figure.max() >= figures):
            raise ValueError("trees ask for figures that are there")


def fit_boosted(encoded: Encoded, labels: Floats, seed: int) -> Boosted:
    """Fit the trees of K models to labels [M, K] in [0, 1], by least squares."""
    from sklearn.ensemble import GradientBoostingRegressor

    models = labels.shape[1]
    figure = np.zeros((models, TREES, _NODES), dtype=np.int16)
    threshold, value = np.zeros((2, models, TREES, _NODES), dtype=np.float32)
    dense = encoded.dense.astype(np.float32)
    for model, label in enumerate(labels.T):
        boosted = GradientBoostingRegressor(
            n_estimators=TREES,
            max_depth=DEPTH,
            learning_rate=LEARNING_RATE,
            min_samples_leaf=LEAST_LEAF_ROWS,
            subsample=0.5,
            max_features="sqrt",
            random_state=seed,
        ).fit(dense, label - label.mean())
        for tree, (found,) in enumerate(boosted.estimators_):
            _copy(
                found.tree_, 0, 0, (figure[model, tree], threshold[model, tree], value[model, tree])
            )
    return Boosted(figure, threshold, value, labels.mean(axis=0))


def _copy(tree: Any, source: int, target: int, arrays: tuple[Nodes, Vectors, Vectors]) -> None:
    """Copy a node and what is below it; under an early leaf both ways have its value."""
    figure, threshold, value = arrays
    left, right = tree.children_left[source], tree.children_right[source]
    if left >= 0:
        figure[target], threshold[target] = tree.feature[source], tree.threshold[source]
    elif target < _NODES // 2:
        left = right = source
    else:
        value[target] = LEARNING_RATE * tree.value[source, 0, 0]
        return
    _copy(tree, left, 2 * target + 1, arrays)
    _copy(tree, right, 2 * target + 2, arrays)
