from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from boute.routing.held_out import held_out_predictions
from boute.routing.table import QualityTable
from boute.routing.training import fit_router, folds_of

Make = Callable[..., QualityTable]


def with_lengths(table: QualityTable) -> QualityTable:
    """Hard queries have answers five times as long."""
    assert table.text is not None
    hard = np.array([text.startswith("integral") for text in table.text])
    tokens = np.where(hard, 500.0, 100.0)[:, None] * [1.0, 0.8]
    noise = np.exp(0.2 * np.random.default_rng(1).normal(size=tokens.shape))
    return replace(table, output_tokens=np.maximum(tokens * noise, 1.0))


def test_no_label_of_a_row_is_in_its_own_prediction(text_table: Make) -> None:
    table = with_lengths(text_table(rows=120))
    quality, tokens = held_out_predictions(table, [0, 1], seed=2)
    row = 17
    other = replace(table, quality=table.quality.copy(), output_tokens=table.output_tokens.copy())
    other.quality[row] = 1.0 - other.quality[row]
    other.output_tokens[row] *= 30.0
    moved, longer = held_out_predictions(other, [0, 1], seed=2)
    same = folds_of(table, 2) == folds_of(table, 2)[row]
    assert np.array_equal(quality[same], moved[same])
    assert np.array_equal(tokens[same], longer[same])
    assert not np.array_equal(quality[~same], moved[~same])
    assert not np.array_equal(tokens[~same], longer[~same])


def test_they_are_about_what_the_served_router_predicts(text_table: Make) -> None:
    table = with_lengths(text_table(rows=400))
    quality, tokens = held_out_predictions(table, [0, 1], seed=0)
    served = fit_router(table, [0, 1]).predict(table.text or ())
    assert np.abs(quality - served.quality).mean() < 0.08
    assert np.abs(np.log(tokens / served.output_tokens)).mean() < 0.15
    assert np.abs(quality.mean(axis=0) - table.quality.mean(axis=0)).max() < 0.03
    assert np.abs(tokens.mean(axis=0) / table.output_tokens.mean(axis=0) - 1.0).max() < 0.1
