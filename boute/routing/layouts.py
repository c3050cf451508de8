"""Tables as others publish them, read for training: which columns are what.

Known by their columns: RouteLLM (prompt, a column of right or wrong a model, `<model>_response`),
RouterBench (prompt, a column a model, `<model>|total_cost`, `<model>|model_response`), LLMRouter
(question, and an object of scores by model), ZeroEval (task, id and a column a model, with
questions and lengths in files beside), and ours, with a text and a column a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from boute.errors import DataError
from boute.routing.layout_columns import (
    COST,
    TASK_COLUMNS,
    Layout,
    layout_of,
    quality_columns,
    scores_as_columns,
)
from boute.routing.layout_parts import output_tokens, query_texts
from boute.routing.sheet import Sheet, read_sheet
from boute.routing.table import MINIMUM_ROWS, UNKNOWN_LENGTH_TOKENS, QualityTable
from boute.workload.arrays import Floats, Ints

__all__ = ["Choices", "TrainingTable", "read_training_table"]


@dataclass(frozen=True)
class Choices:
    """What to read, where that is not what the columns say.

    `quality` maps a model to its column, `query` and `task` name columns; `texts` and `lengths` are
    second files, joined by task and id.
    """

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


def read_training_table(
    path: Path, *, models: Sequence[str] = (), choices: Choices | None = None
) -> TrainingTable:
    """Read a table for training or evaluation; raise DataError naming file, line and column.

    `models` are in cost order, cheapest first; without them they are taken from the columns, in
    the order of mean cost where the table has costs, else of mean quality. Rows in which a model
    has no quality are left out.
    """
    choices = choices or Choices()
    sheet = read_sheet(path)
    layout = layout_of(sheet)
    if layout == "llmrouter":
        sheet = scores_as_columns(sheet)
    columns = quality_columns(sheet, models, choices.quality, {choices.query, choices.task})
    quality = _qualities(sheet, columns)
    rows = np.flatnonzero(~np.isnan(quality).any(axis=1))
    if len(rows) < MINIMUM_ROWS:
        raise _too_few(sheet, columns, quality, len(rows))
    text = query_texts(sheet, rows, choices.query, choices.texts)
    tokens = output_tokens(sheet, rows, columns, choices.lengths)
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
    if models:
        return TrainingTable(table, layout, "given")
    costs = _costs(sheet, rows, columns)
    worth = table.quality.mean(axis=0) if costs is None else costs
    order = np.argsort(worth, kind="stable")
    return TrainingTable(_ordered(table, order), layout, "quality" if costs is None else "cost")


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
    names = [f"{model}{COST}" for model in columns]
    if not all(name in sheet.columns for name in names):
        return None
    return np.array([sheet.finite(name, rows).mean() for name in names])


def _ordered(table: QualityTable, order: Ints) -> QualityTable:
    return replace(
        table,
        models=tuple(table.models[column] for column in order.tolist()),
        quality=np.ascontiguousarray(table.quality[:, order]),
        output_tokens=np.ascontiguousarray(table.output_tokens[:, order]),
    )
