"""Linear heads: one logistic regression a model, on figures and hashed n-grams.

All models are fitted at once, with quality in [0, 1] as a fractional label. Applying
them needs numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from boute.routing.encoders.encoder import Encoded, Vectors
from boute.routing.features import BUCKETS
from boute.routing.heads.minimise import minimised
from boute.workload.arrays import Floats

if TYPE_CHECKING:
    from scipy import sparse

    Matrix: TypeAlias = sparse.csr_array | Floats

__all__ = [
    "Linear",
    "design",
    "fit_linear",
    "fit_lines",
    "fit_penalised",
    "logistic",
    "penalties",
    "weighted_sums",
]

# L2 penalties on the weights of figures and of n-grams, for losses summed over rows. Words tell
# tasks apart, which does not help on another task.
FIGURE_PENALTY: Final = 1.0
GRAM_PENALTY: Final = 10.0
LINE_PENALTY: Final = 10.0
_LEAST_RATE: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Linear:
    """Weights [D, K] and intercepts [K] of K models.

    D is BUCKETS + F with n-grams, which come first, and F without.
    """

    weights: Vectors
    intercepts: Floats

    def quality(self, encoded: Encoded) -> Floats:
        """Expected quality [N, K] in [0, 1]."""
        return logistic(weighted_sums(encoded, self.weights) + self.intercepts)

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """What is saved of it."""
        return {"weights": self.weights, "intercepts": self.intercepts}

    def check(self, figures: int, models: int, *, grams: bool) -> None:
        """Raise ValueError unless it is of these sizes."""
        shape = (figures + (BUCKETS if grams else 0), models)
        if self.weights.shape != shape or self.intercepts.shape != (models,):
            raise ValueError("linear heads have a weight a figure and model")


def logistic(logits: Floats) -> Floats:
    """1 / (1 + exp(-x)) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))


def weighted_sums(encoded: Encoded, weights: Vectors | Floats) -> Floats:
    """Sums [N, K] of what is encoded, weighted [D, K].

    Row by row and not by BLAS: a query gets the same alone and in a batch, to the last bit.
    """
    if encoded.grams is None:
        return _dense_sums(encoded.dense, weights)
    hashed = [values @ weights[buckets] for buckets, values in encoded.grams]
    sums = np.array(hashed, dtype=np.float64).reshape(len(encoded), weights.shape[1])
    return sums + _dense_sums(encoded.dense, weights[BUCKETS:])


def _dense_sums(dense: Floats, weights: Vectors | Floats) -> Floats:
    return np.array([row @ weights for row in dense]).reshape(len(dense), weights.shape[1])


def design(encoded: Encoded) -> Matrix:
    """What is encoded as one matrix [N, D]."""
    if encoded.grams is None:
        return encoded.dense
    from scipy import sparse

    starts = np.cumsum([0] + [len(buckets) for buckets, _ in encoded.grams])
    columns = np.concatenate([buckets for buckets, _ in encoded.grams])
    values = np.concatenate([weights for _, weights in encoded.grams])
    hashed = sparse.csr_array((values, columns, starts), shape=(len(encoded), BUCKETS))
    both: sparse.csr_array = sparse.hstack([hashed, sparse.csr_array(encoded.dense)], format="csr")
    return both


def fit_linear(encoded: Encoded, quality: Floats) -> Linear:
    """Fit to quality [N, K] in [0, 1]; a model of constant quality is expected to keep it."""
    return fit_penalised(encoded, quality, FIGURE_PENALTY, GRAM_PENALTY)


def fit_penalised(
    encoded: Encoded, labels: Floats, figure_penalty: float, gram_penalty: float
) -> Linear:
    """Fit with other penalties."""
    penalty = penalties(encoded, figure_penalty, gram_penalty)
    matrix = design(encoded)
    mean = np.clip(labels.mean(axis=0), _LEAST_RATE, 1 - _LEAST_RATE)
    varied = np.flatnonzero(np.ptp(labels, axis=0) > 0)
    # What no row has keeps a weight of 0, and need not be carried along.
    held = np.arange(len(penalty)) if isinstance(matrix, np.ndarray) else matrix.indices
    seen = np.unique(held)
    weights = np.zeros((matrix.shape[1], labels.shape[1]))
    intercepts = np.log(mean / (1 - mean))
    if varied.size:
        start = np.vstack([np.zeros((len(seen), len(varied))), intercepts[varied]])
        found = _weights(matrix[:, seen], labels[:, varied], start, penalty[seen])
        weights[np.ix_(seen, varied)], intercepts[varied] = found[:-1], found[-1]
    return Linear(weights.astype(np.float32), intercepts)


def penalties(
    encoded: Encoded, figures: float = FIGURE_PENALTY, grams: float = GRAM_PENALTY
) -> Floats:
    """L2 penalty [D, 1] of each weight."""
    buckets = 0 if encoded.grams is None else BUCKETS
    return np.repeat([grams, figures], [buckets, encoded.dense.shape[1]])[:, None]


def fit_lines(encoded: Encoded, values: Floats) -> Linear:
    """Ridge regression of values [N, K]; apply it with `weighted_sums` and its intercepts."""
    from sklearn.linear_model import Ridge

    solver = "sparse_cg" if encoded.grams is not None else "cholesky"
    model = Ridge(alpha=LINE_PENALTY, solver=solver, tol=1e-6)
    model.fit(design(encoded), values - values.mean(axis=0))
    weights = np.asarray(model.coef_).reshape(values.shape[1], -1).T
    intercepts = np.asarray(model.intercept_).reshape(-1) + values.mean(axis=0)
    return Linear(weights.astype(np.float32), intercepts)


def _weights(matrix: Matrix, labels: Floats, start: Floats, penalty: Floats) -> Floats:
    """Weights and, in the last row, intercepts [D + 1, K] of the least cross-entropy."""
    transposed = matrix.T.tocsr() if hasattr(matrix, "tocsr") else matrix.T

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(start.shape)
        logits = matrix @ weights[:-1] + weights[-1]
        value = float((np.logaddexp(0.0, logits) - labels * logits).sum())
        excess = logistic(logits) - labels
        slope = np.vstack([transposed @ excess + penalty * weights[:-1], excess.sum(axis=0)])
        return value + 0.5 * float((penalty * weights[:-1] ** 2).sum()), slope.ravel()

    return minimised(loss, start)
