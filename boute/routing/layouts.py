"""Tables as others publish them, read for training: which columns are what.

Known by their columns: RouteLLM (prompt, a column of right or wrong a model, `<model>_response`),
RouterBench (prompt, a column a model, `<model>|total_cost`, `<model>|model_response`), LLMRouter
(question, and an object of scores by model), ZeroEval (task, id and a column a model, with
questions and lengths in files beside), and ours, with a text and a column a model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from boute.errors import DataError, nearest
from boute.routing.sheet import Sheet, read_sheet
from boute.routing.table import MINIMUM_ROWS, TEXT_COLUMNS, UNKNOWN_LENGTH_TOKENS, QualityTable
from boute.workload.arrays import Floats, Ints

__all__ = ["Choices", "Layout", "TrainingTable", "read_training_table"]

Layout = Literal["boute", "routellm", "routerbench", "zeroeval", "llmrouter"]

MOST_MODELS: Final = 256
CHARACTERS_PER_TOKEN: Final = 4.0
TASK_COLUMNS: Final = ("task", "subject", "eval_name", "category", "dataset")
_COST: Final = "|total_cost"
_RESPONSES: Final = ("|model_response", "_response")
_KEY: Final = ("task", "id")
# Beside a table of ZeroEval's kind: texts and lengths in characters.
_TEXTS_BESIDE: Final = ("questions.csv.gz", "questions.csv")
_LENGTHS_BESIDE: Final = ("out_chars.csv.gz", "out_chars.csv")


@dataclass(frozen=True)
class Choices:
    """What to read, where that is not what the columns say.

    `models` in cost order, cheapest first; `quality` maps a model to its column, `query` and `task`
    name columns; `texts` and `lengths` are second files, joined by task and id.
    """

    models: tuple[str, ...] = ()
    quality: Mapping[str, str] = field(default_factory=dict)
    query: str | None = None
    task: str | None = None
    texts: Path | None = None
    lengths: Path | None = None


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """A table, its columns cheapest first, and how that order was found."""

    table: QualityTable
    layout: Layout
    ordered_by: Literal["given", "cost", "quality"]

    @property
    def cost_order(self) -> range:
        """Columns of the table, cheapest first."""
        return range(len(self.table.models))


def read_training_table(path: Path, choices: Choices | None = None) -> TrainingTable:
    """Read a table for training or evaluation; raise DataError naming file, line and column.

    Models are taken from the columns unless they are given. Their order is the given one, else
    that of mean cost where the table has costs, else that of mean quality. Rows in which a model
    has no quality are left out.
    """
    choices = choices or Choices()
    sheet = read_sheet(path)
    layout = _layout(sheet)
    if layout == "llmrouter":
        sheet = _scores_as_columns(sheet)
    columns = _quality_columns(sheet, choices)
    quality = _qualities(sheet, columns)
    rows = np.flatnonzero(~np.isnan(quality).any(axis=1))
    if len(rows) < MINIMUM_ROWS:
        raise _too_few(sheet, columns, quality, len(rows))
    text = _texts(sheet, rows, choices)
    tokens = _tokens(sheet, rows, columns, choices)
    table = QualityTable(
        name=path.name.split(".")[0],
        models=tuple(columns),
        quality=quality[rows],
        output_tokens=_or_unknown(tokens, (len(rows), len(columns))),
        text=text,
        task=_tasks(sheet, rows, choices),
        lengths_known=tokens is not None,
        dropped=len(sheet) - len(rows),
    )
    if choices.models:
        return TrainingTable(table, layout, "given")
    costs = _costs(sheet, rows, columns)
    worth = table.quality.mean(axis=0) if costs is None else costs
    order = np.argsort(worth, kind="stable")
    return TrainingTable(_ordered(table, order), layout, "quality" if costs is None else "cost")


def _layout(sheet: Sheet) -> Layout:
    names = sheet.columns
    if "scores" in names and isinstance(_first(names["scores"]), dict | str):
        return "llmrouter"
    if any(name.endswith(_COST) for name in names):
        return "routerbench"
    if all(name in names for name in _KEY) and not any(name in names for name in TEXT_COLUMNS):
        return "zeroeval"
    if "prompt" in names and any(
        isinstance(_first(v), str | bool) and _is_truth(_first(v)) for v in names.values()
    ):
        return "routellm"
    return "boute"


def _first(values: Sequence[object]) -> object:
    return next((value for value in values if value not in (None, "")), None)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool) or str(value).lower() in ("true", "false")


def _scores_as_columns(sheet: Sheet) -> Sheet:
    """A column a model, from an object of scores a row."""
    records = []
    for row, value in enumerate(sheet.columns["scores"]):
        try:
            record: Any = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            record = None
        if not isinstance(record, dict):
            sheet.fail("should be an object of scores by model", "scores", row)
        records.append(record)
    models = dict.fromkeys(str(name) for record in records for name in record)
    columns = {name: [record.get(name) for record in records] for name in models}
    others = {name: values for name, values in sheet.columns.items() if name != "scores"}
    return replace(sheet, columns=others | columns)


def _quality_columns(sheet: Sheet, choices: Choices) -> dict[str, str]:
    """Model to column, in the order given or found."""
    if choices.models or choices.quality:
        models = choices.models or tuple(choices.quality)
        for model in choices.quality:
            if model not in models:
                raise DataError(f"{model} is no model", mend=nearest(model, models, "models"))
        columns = {
            model: sheet.require(
                [choices.quality.get(model, model), f"quality_{model}"], f"quality of {model}"
            )
            for model in models
        }
    else:
        columns = _found_columns(sheet, {choices.query, choices.task})
    if len(columns) > MOST_MODELS:
        raise DataError(
            f"has {len(columns)} columns of quality; at most {MOST_MODELS} models are taken",
            where=str(sheet.path),
            mend="name those to use with --models",
        )
    return columns


def _found_columns(sheet: Sheet, reserved: set[str | None]) -> dict[str, str]:
    with_cost = [name.removesuffix(_COST) for name in sheet.columns if name.endswith(_COST)]
    named = {n.removeprefix("quality_"): n for n in sheet.columns if n.startswith("quality_")}
    if with_cost:
        return {name: sheet.require([name], f"quality of {name}") for name in with_cost}
    if named:
        return named
    skipped = reserved | {*TEXT_COLUMNS, *TASK_COLUMNS, "id", "score", "cluster_id", "sample_id"}
    found = {
        name: name
        for name, values in sheet.columns.items()
        if name not in skipped and not _is_length(name) and _is_quality(values)
    }
    if not found:
        raise DataError(
            "has no column of quality, with numbers in [0, 1] or true and false",
            where=str(sheet.path),
            mend=f"name them with --models; columns: {', '.join(list(sheet.columns)[:12])}",
        )
    return found


def _is_length(name: str) -> bool:
    return name.endswith(("_output_tokens", *_RESPONSES)) or name.startswith("output_tokens_")


def _is_quality(values: Sequence[object]) -> bool:
    """Whether a column's first values are qualities."""
    known = [value for value in values if value not in (None, "")][:50]
    try:
        numbers = [1.0 if _is_truth(value) else float(value) for value in known]  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
    return bool(numbers) and all(0 <= number <= 1 for number in numbers)


def _qualities(sheet: Sheet, columns: Mapping[str, str]) -> Floats:
    """Quality [rows, K], NaN where a model has none."""
    found = []
    for column in columns.values():
        values = sheet.numbers(column, range(len(sheet)))
        wrong = np.flatnonzero((values < 0) | (values > 1))
        if wrong.size:
            row = int(wrong[0])
            sheet.fail(f"quality should be in [0, 1] (it is {values[row]:g})", column, row)
        found.append(values)
    return np.stack(found, axis=1)


def _too_few(sheet: Sheet, columns: Mapping[str, str], quality: Floats, rows: int) -> DataError:
    counts = (~np.isnan(quality)).sum(axis=0)
    least = min(zip(counts.tolist(), columns, strict=True))
    return DataError(
        f"has {rows} rows with a quality for every model (fewest: {least[1]}, {least[0]})",
        where=str(sheet.path),
        mend=f"at least {MINIMUM_ROWS} are needed; choose models with --models",
    )


def _texts(sheet: Sheet, rows: Ints, choices: Choices) -> tuple[str, ...]:
    names = TEXT_COLUMNS if choices.query is None else (choices.query,)
    beside = choices.texts or _beside(sheet, _TEXTS_BESIDE)
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


def _tokens(
    sheet: Sheet, rows: Ints, columns: Mapping[str, str], choices: Choices
) -> Floats | None:
    """Output tokens [M, K], from columns of tokens, of responses, or a file of characters."""
    beside = choices.lengths or _beside(sheet, _LENGTHS_BESIDE)
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
    filled = np.where(np.isfinite(tokens), tokens, np.nanmedian(tokens, axis=0))
    return np.maximum(np.where(np.isfinite(filled), filled, UNKNOWN_LENGTH_TOKENS), 1.0)


def _lengths(sheet: Sheet, rows: Ints, model: str) -> Floats | None:
    for name in (f"{model}_output_tokens", f"output_tokens_{model}"):
        if name in sheet.columns:
            return sheet.numbers(name, rows.tolist())
    for suffix in _RESPONSES:
        if f"{model}{suffix}" in sheet.columns:
            values = sheet.columns[f"{model}{suffix}"]
            return np.array([_characters(values[row]) for row in rows.tolist()])
    return None


def _characters(response: object) -> float:
    return math.nan if response is None else len(str(response)) / CHARACTERS_PER_TOKEN


def _or_unknown(tokens: Floats | None, shape: tuple[int, int]) -> Floats:
    return np.full(shape, UNKNOWN_LENGTH_TOKENS) if tokens is None else tokens


def _tasks(sheet: Sheet, rows: Ints, choices: Choices) -> tuple[str, ...] | None:
    names = TASK_COLUMNS if choices.task is None else (choices.task,)
    if choices.task is not None:
        sheet.require(names, "the query's task")
    column = next((name for name in names if name in sheet.columns), None)
    if column is None:
        return None
    return tuple(str(sheet.columns[column][row]) for row in rows.tolist())


def _costs(sheet: Sheet, rows: Ints, columns: Mapping[str, str]) -> Floats | None:
    """Mean cost [K] of an answer of each model, where the table has it."""
    names = [f"{model}{_COST}" for model in columns]
    if not all(name in sheet.columns for name in names):
        return None
    return np.array([sheet.finite(name, rows).mean() for name in names])


def _beside(sheet: Sheet, names: Sequence[str]) -> Path | None:
    """The file beside a table of ZeroEval's kind."""
    if _layout(sheet) != "zeroeval":
        return None
    paths = (sheet.path.parent / name for name in names)
    return next((path for path in paths if path.is_file() and path != sheet.path), None)


def _joined(sheet: Sheet, rows: Ints, other: Sheet) -> Ints:
    """The rows of a second file with the task and id of each row."""
    for side in (sheet, other):
        for name in _KEY:
            side.require([name], "what joins two files")
    found = other.by_key(_KEY)
    joined = np.empty(len(rows), dtype=np.int64)
    for index, row in enumerate(rows.tolist()):
        key = sheet.key_of(row, _KEY)
        if key not in found:
            sheet.fail(f"{', '.join(key)} is not in {other.path}", "id", row)
        joined[index] = found[key]
    return joined


def _ordered(table: QualityTable, order: Ints) -> QualityTable:
    return replace(
        table,
        models=tuple(table.models[column] for column in order.tolist()),
        quality=np.ascontiguousarray(table.quality[:, order]),
        output_tokens=np.ascontiguousarray(table.output_tokens[:, order]),
    )
