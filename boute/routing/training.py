"""Fitting a router of any kind on a quality table.

What is learnt is the quality of each model's answer and its length; the score follows from the
qualities. How far answers are from what is expected is learnt from rows held out, by whole tasks
where the table names at least five.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from boute.errors import InputError, nearest
from boute.routing.encoders.embedding import EmbeddingModel, load_embedding_model
from boute.routing.encoders.encoder import Encoded, Encoder, EncoderKind
from boute.routing.encoders.fitting import fit_encoder
from boute.routing.evaluation.duplicates import near_duplicates
from boute.routing.evaluation.recalibrate import calibrated, fit_calibration
from boute.routing.evaluation.seen import text_hashes
from boute.routing.evaluation.splits import FOLDS, fold_of_rows
from boute.routing.heads.boosted import fit_boosted
from boute.routing.heads.factorisation import fit_factorisation
from boute.routing.heads.linear import fit_linear, fit_lines, weighted_sums
from boute.routing.heads.neighbours import fit_neighbours
from boute.routing.reference import Reference
from boute.routing.router import KINDS, Heads, Kind, Router, score_of, typical_lengths
from boute.routing.spread import fit_spread, reach_of
from boute.routing.table import QualityTable
from boute.workload.arrays import Floats, Ints

__all__ = [
    "MOST_ROWS",
    "Recipe",
    "encoding_of",
    "fit_encoded",
    "fit_heads",
    "fit_router",
    "folds_of",
    "held_out_lengths",
    "held_out_quality",
    "held_out_scores",
    "model_of",
    "parts_of",
    "sampled",
    "typical_of",
]

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
                mend="--embedding FOLDER, with tokenizer.json and model.onnx or model.safetensors",
            )
        if self.kind == "lexical" and self.embedding is not None:
            raise InputError("the kind lexical takes no model", mend="use --kind embedding")


def fit_router(
    table: QualityTable, cost_order: Sequence[int], recipe: Recipe | None = None
) -> Router:
    """Fit a router on all rows. `cost_order` lists columns of the table, cheapest first.

    A given score is only moved to [0, 1]. Where every model's quality is constant, the router
    scores every query alike. Of a table of more than MOST_ROWS rows that many are
    drawn. Raise InputError or DataError for an embedding model that cannot be used.
    """
    recipe = recipe or Recipe()
    table = sampled(table, recipe.seed)
    encoder, encoded = fit_encoder(table, encoding_of(recipe), model_of(recipe), recipe.seed)
    return fit_encoded(table, cost_order, recipe, encoder, encoded)


def fit_encoded(
    table: QualityTable,
    cost_order: Sequence[int],
    recipe: Recipe,
    encoder: Encoder,
    encoded: Encoded,
) -> Router:
    """Fit a router on rows that are encoded already, as `fit_router` does."""
    order = list(cost_order)
    quality, tokens = table.quality[:, order], table.output_tokens[:, order]
    fold = folds_of(table, recipe.seed, by_task=True)
    expected = held_out_quality(recipe, encoded, quality, fold)
    lines = fit_calibration(expected, quality)
    scores = encoded.dense[:, 0] if encoder.takes == "given" else score_of(expected)
    return Router(
        kind=recipe.kind,
        models=tuple(table.models[column] for column in order),
        encoder=encoder,
        heads=fit_heads(recipe, encoded, quality),
        lengths=fit_lines(encoded, np.log(tokens)),
        spread=fit_spread(
            calibrated(expected, lines),
            quality,
            held_out_lengths(encoded, tokens, fold),
            tokens,
            reach_of(encoder.standardised(encoded)),
        ),
        calibration=lines,
        reference=Reference.of(scores, text_hashes(table.text or ())),
        data_hash=table.hash(),
    )


def held_out_scores(
    table: QualityTable, cost_order: Sequence[int], seed: int, recipe: Recipe | None = None
) -> Floats:
    """Scores [M] in [0, 1] of the table's rows, each from a fit that saw nothing like its query.

    Five-fold cross-fitting; rows with nearly the same text share a fold. A given score is not
    fitted, and is only moved to [0, 1].
    """
    recipe = recipe or Recipe()
    encoder, encoded = fit_encoder(table, encoding_of(recipe), model_of(recipe), recipe.seed)
    if encoder.takes == "given":
        return encoded.dense[:, 0]
    quality = table.quality[:, list(cost_order)]
    return score_of(held_out_quality(recipe, encoded, quality, folds_of(table, seed)))


def folds_of(table: QualityTable, seed: int, *, by_task: bool = False) -> Ints:
    """A fold [M] for each row, the same for near-duplicates; for whole tasks where they are known.

    With fewer than `FOLDS` tasks the near-duplicates decide all the same. Where one group of them
    is more than a fold, the table is made from a few templates, and to hold out a template whole
    would judge a router by queries of a kind that it is not for: then only equal texts stay
    together.
    """
    if by_task and table.task is not None and len(set(table.task)) >= FOLDS:
        return fold_of_rows(np.unique(table.task, return_inverse=True)[1], FOLDS, seed)
    if table.text is None:
        return fold_of_rows(np.arange(len(table)), FOLDS, seed)
    number = {text: index for index, text in enumerate(dict.fromkeys(table.text))}
    distinct = np.array([number[text] for text in table.text], dtype=np.int64)
    groups = near_duplicates(list(number))[distinct]
    too_large = np.bincount(groups).max() * FOLDS > len(groups)
    return fold_of_rows(distinct if too_large else groups, FOLDS, seed)


def sampled(table: QualityTable, seed: int) -> QualityTable:
    """The table, or MOST_ROWS of its rows where it has more."""
    if len(table) <= MOST_ROWS:
        return table
    rows = np.random.default_rng(seed).choice(len(table), MOST_ROWS, replace=False)
    return table.take(np.sort(rows))


def encoding_of(recipe: Recipe) -> EncoderKind:
    """What texts become for the heads of this kind."""
    if recipe.kind == "lexical":
        return "lexical"
    return "topics" if recipe.embedding is None else "embedding"


def model_of(recipe: Recipe) -> EmbeddingModel | None:
    """The embedding model that it names; raise DataError or InputError where it is of no use."""
    return None if recipe.embedding is None else load_embedding_model(recipe.embedding)


def fit_heads(recipe: Recipe, encoded: Encoded, labels: Floats) -> Heads:
    """Heads of the recipe's kind on rows with the qualities [M, K]."""
    if recipe.kind == "boosted":
        return fit_boosted(encoded, labels, recipe.seed)
    if recipe.kind == "neighbours":
        return fit_neighbours(encoded, labels, recipe.seed)
    if recipe.kind == "factorisation":
        return fit_factorisation(encoded, labels, recipe.seed)
    return fit_linear(encoded, labels)


def held_out_quality(recipe: Recipe, encoded: Encoded, labels: Floats, fold: Ints) -> Floats:
    """Expected quality [M, K] by fits on the other folds."""
    expected = np.empty_like(labels)
    for rows, others in parts_of(fold):
        heads = fit_heads(recipe, encoded.take(others), labels[others])
        expected[rows] = heads.quality(encoded.take(rows))
    return expected


def held_out_lengths(encoded: Encoded, tokens: Floats, fold: Ints) -> Floats:
    """Typical lengths [M, K] by lines fitted on the other folds."""
    typical = np.empty_like(tokens)
    for rows, others in parts_of(fold):
        typical[rows] = typical_of(encoded.take(others), tokens[others], encoded.take(rows))
    return typical


def typical_of(known: Encoded, tokens: Floats, unknown: Encoded) -> Floats:
    """Typical lengths [N, K] of unknown queries, by lines fitted on known ones."""
    lines = fit_lines(known, np.log(tokens))
    return typical_lengths(weighted_sums(unknown, lines.weights) + lines.intercepts)


def parts_of(fold: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Of each fold its rows, and those of the others."""
    for number in np.unique(fold):
        rows, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        # One query repeated throughout leaves no others, and is then judged by a fit on itself.
        yield rows, others if others.size else rows
