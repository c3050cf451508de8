"""The quality table: what each model of the family makes of each query.

A row is a query: its text, numeric features or a score, and for each model the quality of its
answer and how long the answer was. Tables come from files, or are sampled from a shipped preset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from boute.errors import DataError, SpecError, nearest
from boute.files import sha256_of
from boute.routing.preset import load_preset, preset_names, sample
from boute.routing.sheet import Sheet, read_sheet
from boute.spec.family import ModelChoice
from boute.spec.load import resolve
from boute.spec.quality import Quality
from boute.tables import table_file
from boute.workload.arrays import Floats, Ints

__all__ = ["MINIMUM_ROWS", "QualityTable", "load_quality_table"]

MINIMUM_ROWS = 20
TEXT_COLUMNS = ("query", "question", "prompt", "text")
UNKNOWN_LENGTH_TOKENS = 256.0


@dataclass(frozen=True, eq=False)
class QualityTable:
    """M queries and what K models make of them.

    `quality` [M, K] is in [0, 1]; `output_tokens` [M, K] is at least 1, and one constant when
    `lengths_known` is false. At least one of `text` [M], `features` [M, F] (named by
    `feature_names`) and `score` [M] (given, not fitted; higher is harder) is there. `dropped`
    counts the rows left out because a model had no quality; `task` [M] names what kind of query
    each is, where the table tells. `confidence` [M, K] in [0, 1] is how sure each model was of its
    answer, where a cascade is asked for; NaN of a model without a column.
    """

    name: str
    models: tuple[str, ...]
    quality: Floats
    output_tokens: Floats
    text: tuple[str, ...] | None = None
    features: Floats | None = None
    feature_names: tuple[str, ...] = ()
    score: Floats | None = None
    lengths_known: bool = True
    dropped: int = 0
    task: tuple[str, ...] | None = None
    confidence: Floats | None = None

    def __post_init__(self) -> None:
        shape = (len(self.quality), len(self.models))
        if self.quality.shape != shape or self.output_tokens.shape != shape:
            raise ValueError("quality and output_tokens have a row a query and a column a model")
        if self.text is None and self.features is None and self.score is None:
            raise ValueError("a table has text, features or a score")
        for values in (self.text, self.features, self.score, self.task, self.confidence):
            if values is not None and len(values) != shape[0]:
                raise ValueError("the columns of a table have one length")

    def __len__(self) -> int:
        return len(self.quality)

    def take(self, rows: Ints | Sequence[int]) -> QualityTable:
        """Some of the rows, in this order."""
        picked = np.asarray(rows, dtype=np.int64)

        def texts(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
            return None if values is None else tuple(values[row] for row in picked.tolist())

        return replace(
            self,
            quality=self.quality[picked],
            output_tokens=self.output_tokens[picked],
            text=texts(self.text),
            features=None if self.features is None else self.features[picked],
            score=None if self.score is None else self.score[picked],
            task=texts(self.task),
            confidence=None if self.confidence is None else self.confidence[picked],
        )

    def hash(self) -> str:
        """SHA-256 of what a router is fitted on."""
        arrays = (self.quality, self.output_tokens, self.features, self.score)
        parts = [array.tobytes() for array in arrays if array is not None]
        texts = [*(self.text or ()), *(self.task or ())]
        return sha256_of(*self.models, *self.feature_names, *parts, *texts)


def load_quality_table(
    quality: Quality, models: Sequence[ModelChoice], folder: Path
) -> QualityTable:
    """Read the table that a spec names, or sample the preset; columns in the order of `models`.

    A file has, unless `quality` maps it elsewhere, a column of text (`query`, `question`, `prompt`
    or `text`) or of a `score`; for each model a column with its name or `quality_<name>`; and for
    all models or none `<name>_output_tokens` or `output_tokens_<name>`. A preset knows models by
    card; a file comes before a preset of its name. Raise DataError naming file, line and column.
    A cascade needs `quality.confidence` of all models but the last, which is the dearest: SpecError
    otherwise.
    """
    _check_confidence(quality, [choice.name for choice in models])
    path = table_file(quality.table, resolve(quality.table, folder), preset_names())
    if path is None:
        return _from_preset(quality, models)
    return _from_files(quality, [choice.name for choice in models], path, folder)


def _from_preset(quality: Quality, models: Sequence[ModelChoice]) -> QualityTable:
    columns = quality.model_dump(exclude_defaults=True).keys() - {
        "table",
        "output_length",
        "policy",
    }
    if columns:
        raise DataError(
            f"the preset {quality.table} takes no {', '.join(sorted(columns))}",
            where="quality",
            mend="remove it, or name a file as the table",
        )
    preset = load_preset(quality.table)
    chosen: list[int] = []
    for choice in models:
        names = [name for name in (choice.card, choice.name) if name in preset.models]
        if not names:
            raise DataError(
                f"the preset has no {choice.card or choice.name}; it has "
                f"{', '.join(preset.models)}",
                where=f"quality.table {quality.table}",
                mend="name a table of your own, or use those models",
            )
        chosen.append(preset.models.index(str(names[0])))
    rows = sample(preset)
    return QualityTable(
        name=quality.table,
        models=tuple(choice.name for choice in models),
        quality=np.ascontiguousarray(rows.quality[:, chosen]),
        output_tokens=np.ascontiguousarray(rows.output_tokens[:, chosen]),
        score=rows.score,
    )


def _from_files(quality: Quality, models: list[str], path: Path, folder: Path) -> QualityTable:
    for key, mapping in (
        ("quality", quality.quality),
        ("output_tokens", quality.output_tokens),
        ("confidence", quality.confidence),
    ):
        for name in mapping:
            if name not in models:
                raise DataError(
                    f"{name} is not a model of the spec",
                    where=f"quality.{key}",
                    mend=nearest(name, models, "models"),
                )
    sheet = read_sheet(path)
    values = _qualities(sheet, quality, models)
    rows = np.flatnonzero(~np.isnan(values).any(axis=1))
    if len(rows) < MINIMUM_ROWS:
        counts = zip(models, (~np.isnan(values)).sum(axis=0), strict=True)
        known = ", ".join(f"{name} {count}" for name, count in counts)
        raise DataError(
            f"has {len(rows)} rows with a quality for every model ({known})",
            where=str(sheet.path),
            mend=f"at least {MINIMUM_ROWS} are needed",
        )
    tokens = _output_tokens(sheet, rows, quality, models, folder)
    if tokens is None and quality.output_length == "table":
        raise DataError(
            "has no columns of output lengths",
            where=str(sheet.path),
            mend="name them in quality.output_tokens, or set quality.output_length: scaled",
        )
    text, score = _text_and_score(sheet, rows, quality, folder)
    features = [
        sheet.finite(sheet.require([name], "quality.features"), rows) for name in quality.features
    ]
    if text is None and score is None and not features:
        raise DataError(
            "has no column of text, features or a score",
            where=str(sheet.path),
            mend=f"name one with quality.query; columns: {', '.join(list(sheet.columns)[:12])}",
        )
    shape = (len(rows), len(models))
    return QualityTable(
        name=path.name.split(".")[0],
        models=tuple(models),
        quality=values[rows],
        output_tokens=np.full(shape, UNKNOWN_LENGTH_TOKENS) if tokens is None else tokens,
        text=text,
        features=np.stack(features, axis=1) if features else None,
        feature_names=tuple(quality.features),
        score=score,
        lengths_known=tokens is not None,
        dropped=len(sheet) - len(rows),
        confidence=_confidence(sheet, rows, quality, models),
    )


def _check_confidence(quality: Quality, models: list[str]) -> None:
    unsure = [name for name in models[:-1] if name not in quality.confidence]
    if quality.policy == "cascade" and unsure:
        raise SpecError(
            f"a cascade needs a column of the confidence of {', '.join(unsure)}",
            where="quality.confidence",
            mend="map each model but the dearest to its column, or choose another quality.policy",
        )


def _confidence(sheet: Sheet, rows: Ints, quality: Quality, models: list[str]) -> Floats | None:
    """Confidence [rows, K] of the models in their answers; None where no cascade is asked for."""
    if quality.policy != "cascade":
        return None
    confidence = np.full((len(rows), len(models)), np.nan)
    for place, model in enumerate(models):
        if model in quality.confidence:
            column = sheet.require([quality.confidence[model]], f"confidence of {model}")
            values = sheet.finite(column, rows)
            wrong = np.flatnonzero((values < 0) | (values > 1))
            if wrong.size:
                row = int(wrong[0])
                problem = f"confidence should be in [0, 1] (it is {values[row]:g})"
                sheet.fail(problem, column, int(rows[row]), mend="give exp(mean log-probability)")
            confidence[:, place] = values
    return confidence


def _qualities(sheet: Sheet, quality: Quality, models: list[str]) -> Floats:
    """Quality [rows, K] of all rows, NaN where empty."""
    columns = []
    for model in models:
        mapped = quality.quality.get(model)
        candidates = [mapped] if mapped else [model, f"quality_{model}"]
        column = sheet.require(candidates, f"quality of {model}")
        values = sheet.numbers(column, range(len(sheet)))
        wrong = np.flatnonzero((values < 0) | (values > 1))
        if wrong.size:
            row = int(wrong[0])
            sheet.fail(f"quality should be in [0, 1] (it is {values[row]:g})", column, row)
        columns.append(values)
    return np.stack(columns, axis=1)


def _output_tokens(
    sheet: Sheet, rows: Ints, quality: Quality, models: list[str], folder: Path
) -> Floats | None:
    """Output tokens [rows, K], at least 1; None when the table does not tell."""
    if quality.lengths is not None:
        sheet, rows = _joined(sheet, rows, quality, quality.lengths, folder)
    candidates = [_length_candidates(quality, model) for model in models]
    if not any(name in sheet.columns for names in candidates for name in names) and not (
        quality.output_tokens or quality.lengths
    ):
        return None
    tokens = []
    for model, names in zip(models, candidates, strict=True):
        column = sheet.require(names, f"output tokens of {model}")
        values = sheet.finite(column, rows)
        if values.min() < 0:
            row = int(rows[values.argmin()])
            sheet.fail(f"a length should not be negative (it is {values.min():g})", column, row)
        tokens.append(values)
    per_token = quality.chars_per_token if quality.output_unit == "chars" else 1.0
    return np.maximum(np.stack(tokens, axis=1) / per_token, 1.0)


def _length_candidates(quality: Quality, model: str) -> list[str]:
    if model in quality.output_tokens:
        return [quality.output_tokens[model]]
    candidates = [f"{model}_output_tokens", f"output_tokens_{model}"]
    if quality.lengths is not None:
        # A file of lengths often names its columns as the file of qualities does.
        candidates += [model, quality.quality.get(model, f"quality_{model}")]
    return candidates


def _text_and_score(
    sheet: Sheet, rows: Ints, quality: Quality, folder: Path
) -> tuple[tuple[str, ...] | None, Floats | None]:
    if quality.score is not None:
        return None, sheet.finite(sheet.require([quality.score], "quality.score"), rows)
    source, source_rows = sheet, rows
    if quality.texts is not None:
        source, source_rows = _joined(sheet, rows, quality, quality.texts, folder)
    if quality.query is not None or quality.texts is not None:
        names = (quality.query,) if quality.query is not None else TEXT_COLUMNS
        return source.texts(source.require(names, "the query's text"), source_rows), None
    column = next((name for name in TEXT_COLUMNS if name in sheet.columns), None)
    if column is not None:
        return sheet.texts(column, rows), None
    return None, sheet.finite("score", rows) if "score" in sheet.columns else None


def _joined(
    sheet: Sheet, rows: Ints, quality: Quality, file: str, folder: Path
) -> tuple[Sheet, Ints]:
    """A second file, and its row for each of `rows`."""
    other = read_sheet(resolve(file, folder))
    if not quality.key:
        raise DataError(
            "a second file needs the columns that join it",
            where="quality.key",
            mend="for example key: [id]",
        )
    for side in (sheet, other):
        for name in quality.key:
            side.require([name], "quality.key")
    sheet.by_key(quality.key)
    found = other.by_key(quality.key)
    joined = np.empty(len(rows), dtype=np.int64)
    for i, row in enumerate(rows):
        key = sheet.key_of(int(row), quality.key)
        if key not in found:
            sheet.fail(f"{', '.join(key)} is not in {other.path}", ", ".join(quality.key), int(row))
        joined[i] = found[key]
    return other, joined
