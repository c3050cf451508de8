"""Which columns of a published table hold the quality of which model, told by their names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from boute.errors import DataError, nearest
from boute.routing.sheet import Sheet
from boute.routing.table import TEXT_COLUMNS

__all__ = [
    "COST",
    "KEY",
    "RESPONSES",
    "TASK_COLUMNS",
    "Layout",
    "layout_of",
    "quality_columns",
    "scores_as_columns",
]

Layout = Literal["boute", "routellm", "routerbench", "zeroeval", "llmrouter"]

MOST_MODELS: Final = 256
TASK_COLUMNS: Final = ("task", "subject", "eval_name", "category", "dataset")
COST: Final = "|total_cost"
RESPONSES: Final = ("|model_response", "_response")
KEY: Final = ("task", "id")
"""What joins a table of ZeroEval's kind with the files beside it."""


def layout_of(sheet: Sheet) -> Layout:
    """Whose layout the columns are of."""
    names = sheet.columns
    if "scores" in names and isinstance(_first(names["scores"]), dict | str):
        return "llmrouter"
    if any(name.endswith(COST) for name in names):
        return "routerbench"
    if all(name in names for name in KEY) and not any(name in names for name in TEXT_COLUMNS):
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


def scores_as_columns(sheet: Sheet) -> Sheet:
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


def quality_columns(
    sheet: Sheet, models: Sequence[str], mapped: Mapping[str, str], reserved: set[str | None]
) -> dict[str, str]:
    """Model to column, in the order given or found; raise DataError where there is none."""
    if models or mapped:
        models = models or tuple(mapped)
        for model in mapped:
            if model not in models:
                raise DataError(f"{model} is no model", mend=nearest(model, models, "models"))
        columns = {
            model: sheet.require(
                [mapped.get(model, model), f"quality_{model}"], f"quality of {model}"
            )
            for model in models
        }
    else:
        columns = _found_columns(sheet, reserved)
    if len(columns) > MOST_MODELS:
        raise DataError(
            f"has {len(columns)} columns of quality; at most {MOST_MODELS} models are taken",
            where=str(sheet.path),
            mend="name those to use with --models",
        )
    return columns


def _found_columns(sheet: Sheet, reserved: set[str | None]) -> dict[str, str]:
    with_cost = [name.removesuffix(COST) for name in sheet.columns if name.endswith(COST)]
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
    return name.endswith(("_output_tokens", *RESPONSES)) or name.startswith("output_tokens_")


def _is_quality(values: Sequence[object]) -> bool:
    """Whether a column's first values are qualities."""
    known = [value for value in values if value not in (None, "")][:50]
    try:
        numbers = [1.0 if _is_truth(value) else float(value) for value in known]  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
    return bool(numbers) and all(0 <= number <= 1 for number in numbers)
