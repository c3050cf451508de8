"""Predictions of the rows of a table, each by fits that saw nothing like its query.

What utility is planned on: the served router's calibrated quality and mean length, but for rows of
its own table. The calibration and the ratio of mean to typical length of a part of the rows are
learnt within the other parts, by halves, so that no label of a row is in its own prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from boute.routing.encoders.fitting import fit_encoder
from boute.routing.evaluation.recalibrate import calibrated, fit_calibration
from boute.routing.table import QualityTable
from boute.routing.training import (
    Recipe,
    encoding_of,
    fit_heads,
    folds_of,
    held_out_lengths,
    held_out_quality,
    model_of,
    parts_of,
    typical_of,
)
from boute.workload.arrays import Floats

__all__ = ["held_out_predictions"]


def held_out_predictions(
    table: QualityTable, cost_order: Sequence[int], seed: int, recipe: Recipe | None = None
) -> tuple[Floats, Floats]:
    """Expected quality in [0, 1] and output tokens, at least 1, of each model [M, K] both."""
    recipe = recipe or Recipe()
    order = list(cost_order)
    quality, tokens = table.quality[:, order], table.output_tokens[:, order]
    _, encoded = fit_encoder(table, encoding_of(recipe), model_of(recipe), recipe.seed)
    fold = folds_of(table, seed)
    expected, lengths = np.empty_like(quality), np.empty_like(tokens)
    for rows, others in parts_of(fold):
        known, unknown = encoded.take(others), encoded.take(rows)
        halves = fold[others] % 2
        lines = fit_calibration(
            held_out_quality(recipe, known, quality[others], halves), quality[others]
        )
        heads = fit_heads(recipe, known, quality[others])
        expected[rows] = calibrated(heads.quality(unknown), lines)
        ratio = tokens[others] / held_out_lengths(known, tokens[others], halves)
        lengths[rows] = typical_of(known, tokens[others], unknown) * ratio.mean(axis=0)
    return expected, np.maximum(lengths, 1.0)
