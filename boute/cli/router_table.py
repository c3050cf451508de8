"""Which columns of a table a router is trained or judged on: options of several verbs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from boute.routing.layouts import Choices

__all__ = ["Lengths", "QualityColumns", "Query", "Task", "Texts", "choices_of"]

QualityColumns = Annotated[
    list[str] | None,
    typer.Option("--quality", metavar="MODEL=COLUMN", help="Column of a model's quality."),
]
Query = Annotated[str | None, typer.Option(help="Column of the text.")]
Task = Annotated[str | None, typer.Option(help="Column of the task.")]
Texts = Annotated[Path | None, typer.Option(help="A file with texts, by task and id.")]
Lengths = Annotated[
    Path | None, typer.Option(help="A file with output characters, by task and id.")
]


def choices_of(
    quality: list[str] | None,
    query: str | None,
    task: str | None,
    texts: Path | None,
    lengths: Path | None,
) -> Choices:
    """The options as what to read; raise InputError for a column that is not MODEL=COLUMN."""
    from boute.errors import InputError
    from boute.routing.layouts import Choices

    columns = {}
    for option in quality or []:
        model, separator, column = option.partition("=")
        if not separator or not model or not column:
            raise InputError(f"{option!r} is not MODEL=COLUMN", where="--quality")
        columns[model] = column
    return Choices(columns, query, task, texts, lengths)
