"""Fitting the router's score, and scoring a table's own rows without having seen them.

The target is what routing gains: how much better, in [0, 1], the best of the dearer models answers
a query than the cheapest. With right-or-wrong quality the score is the probability that a dearer
model gets right what the cheapest gets wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from boute.routing.features import BUCKETS, SHAPE_NAMES, hashed_ngrams, shape_features
from boute.routing.router import Kind, Router, standardise
from boute.routing.table import QualityTable
from boute.workload.arrays import Floats, Ints

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["fit_router", "held_out_scores"]

FOLDS: Final = 5
# scikit-learn's C. On ZeroEval and on RouteLLM's MMLU answers 0.3 is within 0.01 APGR of the best
# of 0.03, 0.1, 0.3 and 1; larger values overfit tables of a few thousand rows.
INVERSE_REGULARISATION: Final = 0.3


@dataclass(frozen=True, eq=False)
class _Inputs:
    """What the rows of a table are scored by: hashed n-grams [M, BUCKETS] and figures [M, F]."""

    kind: Kind
    names: tuple[str, ...]
    dense: Floats
    hashed: sparse.csr_array | None = None


def fit_router(table: QualityTable, cost_order: Sequence[int]) -> Router:
    """Fit a router on all rows. `cost_order` lists columns of the table, cheapest first.

    A given score is only moved to [0, 1]. When no dearer model ever gains, or one always does,
    the router scores every query alike.
    """
    return _fit(table, cost_order, _inputs(table), np.arange(len(table)))


def held_out_scores(table: QualityTable, cost_order: Sequence[int], seed: int) -> Floats:
    """Scores [M] in [0, 1] of the table's rows, each from a fit that did not see its query.

    Five-fold cross-fitting; rows with the same text share a fold. A given score
    is not fitted, and is only moved to [0, 1].
    """
    inputs = _inputs(table)
    everything = np.arange(len(table))
    if inputs.kind == "given":
        return _fit(table, cost_order, inputs, everything).score(inputs.dense[:, 0])
    fold = _folds(table, seed)
    scores = np.empty(len(table))
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        others = np.flatnonzero(fold != number)
        # One query repeated throughout leaves no others, and has one score whatever is fitted.
        router = _fit(table, cost_order, inputs, others if others.size else everything)
        scores[rows] = router.score_inputs(inputs.dense[rows], _hashed_sums(inputs, rows, router))
    return scores


def _inputs(table: QualityTable) -> _Inputs:
    if table.score is not None:
        return _Inputs("given", ("score",), table.score[:, None])
    if table.features is not None:
        return _Inputs("features", table.feature_names, table.features)
    from scipy import sparse

    texts = table.text or ()
    grams = [hashed_ngrams(text) for text in texts]
    starts = np.cumsum([0] + [len(buckets) for buckets, _ in grams])
    columns = np.concatenate([buckets for buckets, _ in grams])
    values = np.concatenate([weights for _, weights in grams])
    hashed = sparse.csr_array((values, columns, starts), shape=(len(texts), BUCKETS))
    return _Inputs("text", SHAPE_NAMES, shape_features(texts), hashed)


def _hashed_sums(inputs: _Inputs, rows: Ints, router: Router) -> Floats:
    """Weighted sums [rows] of the hashed n-grams; 0 where there are none."""
    if inputs.hashed is None:
        return np.zeros(len(rows))
    return np.asarray(inputs.hashed[rows] @ router.weights[:BUCKETS], dtype=np.float64)


def _folds(table: QualityTable, seed: int) -> Ints:
    """A fold [M] in 0..4 for each row, the same for identical texts."""
    keys: Sequence[object] = table.text if table.text is not None else range(len(table))
    groups = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    order = np.random.default_rng(seed).permutation(len(groups))
    return np.array([order[groups[key]] % FOLDS for key in keys], dtype=np.int64)


def _fit(table: QualityTable, cost_order: Sequence[int], inputs: _Inputs, rows: Ints) -> Router:
    dense = inputs.dense[rows]
    mean, scale = dense.mean(axis=0), dense.std(axis=0)
    weights = np.zeros(dense.shape[1] + (0 if inputs.hashed is None else BUCKETS))
    intercept = 0.0
    if inputs.kind == "given":
        mean, scale = dense.min(axis=0), np.ptp(dense, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    if inputs.kind != "given":
        gain = _gain(table.quality[rows][:, list(cost_order)])
        weights, intercept = _logistic_regression(
            inputs, rows, standardise(dense, mean, scale), gain
        )
    return Router(
        kind=inputs.kind,
        models=tuple(table.models[column] for column in cost_order),
        feature_names=inputs.names,
        mean=mean,
        scale=scale,
        weights=weights,
        intercept=intercept,
        data_hash=table.hash(),
    )


def _gain(quality: Floats) -> Floats:
    """What the best of the dearer models adds to the cheapest, in [0, 1]; quality in cost order."""
    if quality.shape[1] == 1:
        return np.zeros(len(quality))
    return np.asarray(np.maximum(quality[:, 1:].max(axis=1) - quality[:, 0], 0.0))


def _logistic_regression(
    inputs: _Inputs, rows: Ints, dense: Floats, gain: Floats
) -> tuple[Floats, float]:
    """Weights and intercept, with `gain` as a fractional label: a row counts for both classes."""
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    matrix = sparse.csr_array(dense)
    if inputs.hashed is not None:
        matrix = sparse.hstack([inputs.hashed[rows], matrix], format="csr")
    if gain.max() <= 0 or gain.min() >= 1:
        mean = float(np.clip(gain.mean(), 1e-6, 1 - 1e-6))
        return np.zeros(matrix.shape[1]), float(np.log(mean / (1 - mean)))
    positive, negative = np.flatnonzero(gain > 0), np.flatnonzero(gain < 1)
    both = np.concatenate([positive, negative])
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000)
    model.fit(
        matrix[both],
        np.repeat([1, 0], [len(positive), len(negative)]),
        sample_weight=np.concatenate([gain[positive], 1 - gain[negative]]),
    )
    return np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0])
