"""The router that a spec asks for: what plans are judged by, and what they are served with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from boute.errors import DataError, SpecError
from boute.files import sha256_of
from boute.routing.encoders.embedding import EmbeddingModel
from boute.routing.evaluation.seen import seen_before
from boute.routing.held_out import held_out_predictions
from boute.routing.policies.evidence import Evidence
from boute.routing.remembered import recall, remember
from boute.routing.router import Router
from boute.routing.table import MINIMUM_ROWS, QualityTable
from boute.routing.training import Recipe, fit_router, held_out_scores, model_of, sampled
from boute.spec.load import resolve
from boute.spec.quality import Quality, RouterChoice
from boute.workload.arrays import Floats

__all__ = ["chosen_router", "evidence_of", "judged_rows", "remember_judged"]


def judged_rows(
    table: QualityTable,
    choice: RouterChoice,
    folder: Path,
    seed: int,
    earlier: Path | None = None,
) -> tuple[QualityTable, Floats]:
    """The rows that plans are judged on, and their scores [M], none from a fit that saw its query.

    The columns of the table are in cost order; files are relative to `folder`. Scores that lie
    beside an `earlier` router are taken if they are of the same rows. Raise DataError or InputError
    for a router or an embedding model that cannot be used.
    """
    if choice.folder is None:
        table = sampled(table, seed)
        recipe = _recipe(choice, folder)
        models = range(len(table.models))
        known = _recalled(earlier, table, recipe, seed)
        return table, known.score if known else held_out_scores(table, models, seed, recipe)
    router = _load(table, choice.folder, folder)
    assert table.text is not None
    unseen = np.flatnonzero(~seen_before(table.text, router.reference.texts))
    if len(unseen) < MINIMUM_ROWS:
        raise DataError(
            f"was trained on all but {len(unseen)} rows of the quality table",
            where=f"quality.router.folder {choice.folder}",
            mend="give a table that it has not seen, or quality.router.kind to train on this one",
        )
    rest = table.take(unseen)
    return rest, router.score(rest.text or ())


def evidence_of(
    table: QualityTable,
    score: Floats,
    quality: Quality,
    folder: Path,
    seed: int,
    earlier: Path | None = None,
) -> Evidence:
    """What the policy of a spec knows of the rows that plans are judged on, with their scores [M].

    Raise SpecError where utility is asked for and nothing predicts: the score is given.
    """
    if quality.policy != "utility":
        return Evidence(score, confidence=table.confidence)
    if table.score is not None:
        raise SpecError(
            "utility compares predictions, and a given score tells none",
            where="quality.policy",
            mend="give a table with the queries' texts or features, or choose another policy",
        )
    choice = quality.router
    if choice.folder is None:
        recipe = _recipe(choice, folder)
        models = range(len(table.models))
        known = _recalled(earlier, table, recipe, seed)
        if known and known.quality is not None and known.output_tokens is not None:
            return Evidence(score, known.quality, known.output_tokens)
        return Evidence(score, *held_out_predictions(table, models, seed, recipe))
    found = _load(table, choice.folder, folder).predict(table.text or ())
    return Evidence(score, found.quality, found.output_tokens)


def remember_judged(
    router_folder: Path,
    table: QualityTable,
    evidence: Evidence,
    choice: RouterChoice,
    folder: Path,
    seed: int,
) -> None:
    """Keep what rows were judged by beside their router, unless it is that router itself."""
    if choice.folder is None:
        remember(router_folder, _key(table, _recipe(choice, folder), seed), evidence)


def _recalled(
    folder: Path | None, table: QualityTable, recipe: Recipe, seed: int
) -> Evidence | None:
    """What lies beside a router of these rows; the key is not worked out where there is none."""
    key = _key(table, recipe, seed) if folder else ""
    return recall(folder, key, len(table.models))


def _key(table: QualityTable, recipe: Recipe, seed: int) -> str:
    """What held-out fits depend on."""
    files = [part for item in sorted(_files(model_of(recipe)).items()) for part in item]
    return sha256_of(table.hash(), recipe.kind, str(recipe.seed), str(seed), *files)


def chosen_router(
    table: QualityTable, choice: RouterChoice, folder: Path, earlier: Path | None = None
) -> Router:
    """The router that is served: the one named, or one fitted on all rows of the table.

    The router of an `earlier` folder is taken where it was fitted on the same rows by the same
    recipe: to fit it again would take its time, and give it again.
    """
    if choice.folder is not None:
        return _load(table, choice.folder, folder)
    recipe = _recipe(choice, folder)
    found = None if earlier is None else _fitted_before(earlier, table, recipe)
    return found or fit_router(table, range(len(table.models)), recipe)


def _fitted_before(folder: Path, table: QualityTable, recipe: Recipe) -> Router | None:
    """The router in a folder, unless it is damaged or of other rows or another recipe."""
    try:
        router = Router.load(folder)
    except DataError:
        return None
    rows = sampled(table, recipe.seed)
    made = (router.kind, router.models, router.data_hash, _files(router.encoder.model))
    asked = (recipe.kind, rows.models, rows.hash(), _files(model_of(recipe)))
    return router if made == asked else None


def _files(model: EmbeddingModel | None) -> dict[str, bytes]:
    return {} if model is None else model.files


def _recipe(choice: RouterChoice, folder: Path) -> Recipe:
    model = choice.embedding
    return Recipe(choice.kind, None if model is None else resolve(model, folder))


def _load(table: QualityTable, name: str, folder: Path) -> Router:
    router = Router.load(resolve(name, folder))
    where = f"quality.router.folder {name}"
    if router.models != table.models:
        raise DataError(
            f"routes between {', '.join(router.models)}, and the spec between "
            f"{', '.join(table.models)}, cheapest first",
            where=where,
            mend="train one with --models in that order",
        )
    if router.takes != "text" or table.text is None:
        raise DataError(
            "needs texts, and so does the quality table with it",
            where=where,
            mend="name the column with quality.query, or leave the folder out",
        )
    return router
