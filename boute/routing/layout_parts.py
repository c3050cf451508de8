"""Texts and output lengths of a published table, from its columns or from files beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from boute.errors import DataError
from boute.routing.layout_columns import KEY, RESPONSES, layout_of
from boute.routing.sheet import Sheet, read_sheet
from boute.routing.table import TEXT_COLUMNS, UNKNOWN_LENGTH_TOKENS
from boute.workload.arrays import Floats, Ints

__all__ = ["output_tokens", "query_texts"]

CHARACTERS_PER_TOKEN: Final = 4.0
# Beside a table of ZeroEval's kind: texts and lengths in characters.
_TEXTS_BESIDE: Final = ("questions.csv.gz", "questions.csv")
_LENGTHS_BESIDE: Final = ("out_chars.csv.gz", "out_chars.csv")


def query_texts(
    sheet: Sheet, rows: Ints, query: str | None = None, file: Path | None = None
) -> tuple[str, ...]:
    """Text [M] of each of the rows; it may be empty. Raise DataError where no column holds any."""
    names = TEXT_COLUMNS if query is None else (query,)
    beside = file or _beside(sheet, _TEXTS_BESIDE)
    if not any(name in sheet.columns for name in names) and beside is not None:
        other = read_sheet(beside)
        joined = _joined(sheet, rows, other)
        return other.texts(other.require(names, "the query's text"), joined)
    if not any(name in sheet.columns for name in names):
        raise DataError(
            f"has no column of text ({', '.join(names)})",
            where=str(sheet.path),
            mend=f"name it with --query; columns: {', '.join(list(sheet.columns)[:12])}",
        )
    column = sheet.require(names, "the query's text")
    return tuple(_plain(sheet.columns[column][row]) for row in rows.tolist())


def _plain(value: object) -> str:
    """A text; RouterBench writes a prompt of several turns as a list."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    if isinstance(value, list):
        return "\n".join(str(part) for part in value)
    return "" if value is None else str(value)


def output_tokens(
    sheet: Sheet, rows: Ints, columns: Mapping[str, str], file: Path | None = None
) -> Floats | None:
    """Output tokens [M, K] from columns of tokens, of responses, or a file of characters.

    None where not every model's are known; a length that is missing is taken as the median.
    """
    beside = file or _beside(sheet, _LENGTHS_BESIDE)
    if beside is not None:
        other = read_sheet(beside)
        joined = _joined(sheet, rows, other)
        found = [
            other.numbers(other.require([c], f"length of {m}"), joined.tolist())
            for m, c in columns.items()
        ]
        tokens = np.stack(found, axis=1) / CHARACTERS_PER_TOKEN
    else:
        lengths = [_lengths(sheet, rows, model) for model in columns]
        known = [length for length in lengths if length is not None]
        if len(known) < len(lengths):
            return None
        tokens = np.stack(known, axis=1)
    return np.maximum(np.stack([_filled(column) for column in tokens.T], axis=1), 1.0)


def _filled(tokens: Floats) -> Floats:
    """Lengths with the median where there is none."""
    known = np.isfinite(tokens)
    typical = float(np.median(tokens[known])) if known.any() else UNKNOWN_LENGTH_TOKENS
    return np.where(known, tokens, typical)


def _lengths(sheet: Sheet, rows: Ints, model: str) -> Floats | None:
    for name in (f"{model}_output_tokens", f"output_tokens_{model}"):
        if name in sheet.columns:
            return sheet.numbers(name, rows.tolist())
    for suffix in RESPONSES:
        if f"{model}{suffix}" in sheet.columns:
            values = sheet.columns[f"{model}{suffix}"]
            return np.array([_characters(values[row]) for row in rows.tolist()])
    return None


def _characters(response: object) -> float:
    return math.nan if response is None else len(str(response)) / CHARACTERS_PER_TOKEN


def _beside(sheet: Sheet, names: Sequence[str]) -> Path | None:
    """The file beside a table of ZeroEval's kind."""
    if layout_of(sheet) != "zeroeval":
        return None
    paths = (sheet.path.parent / name for name in names)
    return next((path for path in paths if path.is_file() and path != sheet.path), None)


def _joined(sheet: Sheet, rows: Ints, other: Sheet) -> Ints:
    """The rows of a second file with the task and id of each row."""
    for side in (sheet, other):
        for name in KEY:
            side.require([name], "what joins two files")
    found = other.by_key(KEY)
    joined = np.empty(len(rows), dtype=np.int64)
    for index, row in enumerate(rows.tolist()):
        key = sheet.key_of(row, KEY)
        if key not in found:
            sheet.fail(f"{', '.join(key)} is not in {other.path}", "id", row)
        joined[index] = found[key]
    return joined
