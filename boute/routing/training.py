"""Fitting a router of any kind on a quality table.

The score is learnt as one more rate beside the qualities: what routing gains on a query, that is
how much better, in [0, 1], the best of the dearer models answers it than the cheapest. With
right-or-wrong quality it is the probability that a dearer model gets right what the cheapest gets
wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from boute.errors import InputError, nearest
from boute.routing.encoders.encoder import Encoded, Encoder
from boute.routing.encoders.fitting import fit_encoder
from boute.routing.heads.linear import Linear, fit_linear, fit_lines, weighted_sums
from boute.routing.router import KINDS, Heads, Kind, Router
from boute.routing.spread import Spread, fit_spread
from boute.routing.splits import folds_of
from boute.routing.table import QualityTable
from boute.workload.arrays import Floats, Ints

__all__ = ["MOST_ROWS", "Fitted", "Recipe", "cross_fit", "fit_router", "gain_of"]

# More rows change little and cost memory: 100,000 questions are about 1 GB while they are fitted.
MOST_ROWS: Final = 50_000


@dataclass(frozen=True)
class Recipe:
    """How to fit: the kind, the folder of an embedding model for `embedding`, and a seed.

    With `embedding` the kinds `boosted`, `neighbours` and `factorisation` see embeddings too,
    instead of topics of the text's n-grams.
    """

    kind: Kind = "lexical"
    embedding: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(
                f"{self.kind} is no kind of router", mend=nearest(self.kind, KINDS, "kinds")
            )
        if self.kind == "embedding" and self.embedding is None:
            raise InputError(
                "the kind embedding needs a model",
                mend="name a folder with model.safetensors and tokenizer.json: --embedding FOLDER",
            )
        if self.kind == "lexical" and self.embedding is not None:
            raise InputError("the kind lexical takes no model", mend="use --kind embedding")


@dataclass(frozen=True, eq=False)
class Fitted:
    """Held-out rates [M, K + 1] and typical lengths [M, K] of a table's rows, and their folds."""

    rates: Floats
    typical: Floats


def fit_router(table: QualityTable, cost_order: Sequence[int], recipe: Recipe = Recipe()) -> Router:
    """Fit a router on all rows. `cost_order` lists columns of the table, cheapest first.

    A given score is only moved to [0, 1]. When no dearer model ever gains, or one always does,
    the router scores every query alike. Of a table of more than MOST_ROWS rows that many are
    drawn. Raise InputError or DataError for an embedding model that cannot be used.
    """
    return _fit(_sampled(table, recipe.seed), cost_order, recipe)


def _fit(table: QualityTable, cost_order: Sequence[int], recipe: Recipe) -> Router:
    order = list(cost_order)
    encoder, encoded = fit_encoder(table, recipe.kind, recipe.embedding, recipe.seed)
    labels = _labels(table, order)
    log_tokens = np.log(table.output_tokens[:, order])
    fitted = cross_fit(table, encoder, encoded, labels, log_tokens, recipe)
    return Router(
        kind=recipe.kind,
        models=tuple(table.models[column] for column in order),
        encoder=encoder,
        heads=fit_heads(recipe.kind, encoder, encoded, labels, recipe.seed),
        lengths=fit_lines(encoded, log_tokens),
        spread=fit_spread(
            fitted.rates[:, :-1], labels[:, :-1], fitted.typical, table.output_tokens[:, order]
        ),
        data_hash=table.hash(),
    )


def cross_fit(
    table: QualityTable,
    encoder: Encoder,
    encoded: Encoded,
    labels: Floats,
    log_tokens: Floats,
    recipe: Recipe,
) -> Fitted:
    """What rows are predicted to be by fits that saw nothing like them."""
    fold = folds_of(table, recipe.seed)
    rates, typical = np.empty_like(labels), np.empty_like(log_tokens)
    for number in np.unique(fold):
        rows, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        # One query repeated throughout leaves no others: then it is judged by a fit on itself.
        seen = others if others.size else rows
        inputs = encoded.take(rows)
        heads = fit_heads(recipe.kind, encoder, encoded.take(seen), labels[seen], recipe.seed)
        rates[rows] = heads.all_rates(inputs)
        lines = fit_lines(encoded.take(seen), log_tokens[seen])
        typical[rows] = np.exp(weighted_sums(inputs, lines.weights) + lines.intercepts)
    return Fitted(rates, typical)


def gain_of(quality: Floats) -> Floats:
    """What the best of the dearer models adds to the cheapest, in [0, 1]; quality in cost order."""
    if quality.shape[1] == 1:
        return np.zeros(len(quality))
    return np.asarray(np.maximum(quality[:, 1:].max(axis=1) - quality[:, 0], 0.0))
