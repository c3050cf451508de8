"""Preferences between two answers to a query: battles, and a router fitted on them.

Each model has a strength on each query, a linear function of the text, and wins against another
with the logistic of the difference (Bradley and Terry, Biometrika 1952; with features as RouteLLM
uses them, arXiv 2406.18665). Quality then is the chance to win against a model of the family's mean
strength on that query.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from boute.errors import DataError, InputError, nearest
from boute.files import sha256_of
from boute.routing.encoders.fitting import fit_encoder
from boute.routing.evaluation.seen import text_hashes
from boute.routing.heads.linear import Linear, design, logistic, penalties
from boute.routing.heads.minimise import minimised
from boute.routing.reference import Reference
from boute.routing.router import Router, score_of
from boute.routing.sheet import Sheet, read_sheet
from boute.routing.spread import Spread
from boute.routing.table import MINIMUM_ROWS, TEXT_COLUMNS, UNKNOWN_LENGTH_TOKENS, QualityTable
from boute.routing.training import Recipe, model_of
from boute.workload.arrays import Floats, Ints

if TYPE_CHECKING:
    from boute.routing.heads.linear import Matrix

__all__ = ["Battles", "fit_battles", "read_battles"]

_COLUMNS: Final = ("model_a", "model_b", "winner")
_OUTCOMES: Final = {
    **{"model_a": 1.0, "a": 1.0, "model_b": 0.0, "b": 0.0},
    **{"tie": 0.5, "tie (bothbad)": 0.5, "both_bad": 0.5},
}


@dataclass(frozen=True, eq=False)
class Battles:
    """M battles: a text, two of K models [M] as numbers, and how far the first won, in [0, 1]."""

    models: tuple[str, ...]
    text: tuple[str, ...]
    first: Ints
    second: Ints
    won: Floats

    def __len__(self) -> int:
        return len(self.text)

    def hash(self) -> str:
        """SHA-256 of what a router is fitted on."""
        arrays = (self.first.tobytes(), self.second.tobytes(), self.won.tobytes())
        return sha256_of(*self.models, *arrays, *self.text)


def read_battles(
    path: Path, *, models: Sequence[str] = (), query: str | None = None
) -> Battles | None:
    """Read a table with model_a, model_b and winner; None for a table of another layout.

    `models` are in cost order, cheapest first; without them, in order of how often they win.
    Raise DataError naming file, line and column.
    """
    sheet = read_sheet(path)
    if not all(name in sheet.columns for name in _COLUMNS):
        return None
    pairs = [[str(value) for value in sheet.columns[name]] for name in _COLUMNS[:2]]
    won = np.array([_outcome(sheet, row) for row in range(len(sheet))])
    names = tuple(models) or _by_wins(pairs, won)
    kept = [row for row in range(len(sheet)) if pairs[0][row] in names and pairs[1][row] in names]
    if len(kept) < MINIMUM_ROWS or len(names) < 2:
        known = ", ".join(sorted({*pairs[0]}))
        raise DataError(
            f"has {len(kept)} battles between two of the models",
            where=str(path),
            mend=f"at least {MINIMUM_ROWS} are needed; it has {known:.200}",
        )
    number = {name: index for index, name in enumerate(names)}
    first, second = (np.array([number[side[row]] for row in kept]) for side in pairs)
    wrong = np.flatnonzero(first == second)
    if wrong.size:
        sheet.fail("a model is set against itself", "model_b", kept[int(wrong[0])])
    fought = np.bincount(np.concatenate([first, second]), minlength=len(names))
    if (fought == 0).any():
        missing = names[int(fought.argmin())]
        raise DataError(
            f"has no battle of {missing}",
            where=str(path),
            mend=nearest(missing, {*pairs[0], *pairs[1]}, "models"),
        )
    column = sheet.require(TEXT_COLUMNS if query is None else (query,), "the query's text")
    text = tuple(str(sheet.columns[column][row] or "") for row in kept)
    return Battles(names, text, first, second, won[kept])


def _outcome(sheet: Sheet, row: int) -> float:
    value = str(sheet.columns["winner"][row]).strip().lower()
    if value not in _OUTCOMES:
        sheet.fail(f"should be model_a, model_b or tie (it is {value!r:.40})", "winner", row)
    return _OUTCOMES[value]


def _by_wins(pairs: Sequence[Sequence[str]], won: Floats) -> tuple[str, ...]:
    """Every model, the one that wins least often first."""
    names = sorted({*pairs[0], *pairs[1]})
    sides = [np.array(side) for side in pairs]

    def rate(name: str) -> float:
        results = np.concatenate([won[sides[0] == name], 1.0 - won[sides[1] == name]])
        return float(results.mean())

    return tuple(sorted(names, key=rate))


def fit_battles(battles: Battles, recipe: Recipe | None = None) -> Router:
    """Fit a router of the kind `lexical` or `embedding`; raise InputError for other kinds."""
    recipe = recipe or Recipe()
    if recipe.kind not in ("lexical", "embedding"):
        raise InputError(
            f"the kind {recipe.kind} takes no battles", mend="use --kind lexical or embedding"
        )
    count = len(battles.models)
    flat = np.ones((len(battles), count))
    table = QualityTable("battles", battles.models, flat, flat, text=battles.text)
    encoder, encoded = fit_encoder(table, recipe.kind, model_of(recipe), recipe.seed)
    weights, levels = _strengths(battles, design(encoded), penalties(encoded))
    lengths = np.full(count, math.log(UNKNOWN_LENGTH_TOKENS))
    ones, zeros = np.ones(count), np.zeros(count)
    heads = Linear(weights.astype(np.float32), levels)
    scores = score_of(heads.quality(encoded))
    return Router(
        kind=recipe.kind,
        models=battles.models,
        encoder=encoder,
        heads=heads,
        lengths=Linear(np.zeros_like(weights, dtype=np.float32), lengths),
        spread=Spread(zeros, ones, ones, ones, ones),
        calibration=np.stack([ones, zeros], axis=1),
        reference=Reference.of(scores, text_hashes(battles.text)),
        data_hash=battles.hash(),
    )


def _strengths(battles: Battles, matrix: Matrix, penalty: Floats) -> tuple[Floats, Floats]:
    """Weights [D, K] and levels [K] of the models' strengths, whose mean over models is 0."""
    rows, count = len(battles), len(battles.models)
    # Which strengths a battle compares: +1 for the first model, -1 for the second.
    sides = np.zeros((rows, count))
    sides[np.arange(rows), battles.first] += 1.0
    sides[np.arange(rows), battles.second] -= 1.0

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(-1, count)
        strength = matrix @ weights[:-1] + weights[-1]
        margin = (strength * sides).sum(axis=1)
        value = float((np.logaddexp(0.0, margin) - battles.won * margin).sum())
        excess = (logistic(margin) - battles.won)[:, None] * sides
        slope = np.vstack([matrix.T @ excess + penalty * weights[:-1], excess.sum(axis=0)])
        # Levels are penalised a little too: a model that always won would have none otherwise.
        slope[-1] += weights[-1]
        value += 0.5 * float((penalty * weights[:-1] ** 2).sum() + (weights[-1] ** 2).sum())
        return value, slope.ravel()

    found = minimised(loss, np.zeros((matrix.shape[1] + 1, count)))
    found -= found.mean(axis=1, keepdims=True)
    return found[:-1], found[-1]
