"""Traces from files: Azure, Mooncake, and any table whose columns can be recognised or are named.

A file is never repaired in silence. Unsorted arrivals, missing values and requests without tokens
(failed ones, in most logs) are errors that name the line. The access log of `boute serve` is the
one exception: its lines are in the order in which requests ended, and it says which failed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from boute.errors import DataError
from boute.tables import Table, read_table
from boute.workload.arrays import Floats, Ints, Trace

__all__ = ["ARRIVAL_NAMES", "INPUT_NAMES", "MAX_TOKENS", "OUTPUT_NAMES", "read_trace"]

Meaning = Literal["arrival", "input_tokens", "output_tokens"]

MAX_TOKENS: Final = 10_000_000
"""More than this for one request is a damaged file, not a request."""

# Recognised names, the first match wins. Case, spaces, dashes and underscores do not matter, and
# an arrival may carry its unit: arrival_s, timestamp_ms.
ARRIVAL_NAMES: Final = (
    "arrival",
    "arrival_time",
    "arrival_timestamp",
    "arrived_at",
    "timestamp",
    "request_time",
    "start_time",
    "time",
)
INPUT_NAMES: Final = (
    "input_tokens",
    "prompt_tokens",
    "context_tokens",
    "request_tokens",
    "num_prefill_tokens",
    "input_length",
    "prompt_length",
    "input_len",
    "prompt_len",
)
OUTPUT_NAMES: Final = (
    "output_tokens",
    "completion_tokens",
    "generated_tokens",
    "response_tokens",
    "num_decode_tokens",
    "output_length",
    "completion_length",
    "output_len",
    "completion_len",
)

# What tells an access log of `boute serve` from other tables.
_ACCESS_LOG: Final = {"request_id", "arrival", "outcome", "input_tokens", "output_tokens"}

_UNITS: Final = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
# Seconds since 1970 stay below this for 3,000 years, milliseconds have been above it since 1973.
_LATEST_S: Final = 1e11


def read_trace(path: Path, columns: Mapping[Meaning, str] | None = None) -> Trace:
    """Read a trace from a CSV, JSON Lines or Parquet file.

    `columns` names the column of `arrival`, `input_tokens` or `output_tokens` where it is not
    recognised. Numeric arrivals are seconds unless the column's name ends in `_ms`, `_us` or
    `_ns`, or the file is Mooncake's (it has `hash_ids`; milliseconds); text is ISO 8601. The clock
    starts at the first request. Raises DataError naming the file and the line or column.
    """
    table = _answered(read_table(path, rows="requests"))
    named = dict(columns or {})
    arrival_column = _column(table, "arrival", ARRIVAL_NAMES, named)
    input_column = _column(table, "input_tokens", INPUT_NAMES, named)
    output_column = _column(table, "output_tokens", OUTPUT_NAMES, named)
    arrival_s = _arrivals(table, arrival_column)
    input_tokens = _tokens(table, input_column)
    output_tokens = _tokens(table, output_column)
    if arrival_s[-1] == 0:
        raise DataError(
            f"{arrival_column} is the same for all {len(arrival_s)} requests, so there is no rate",
            where=str(path),
            mend="give at least two requests at different times",
        )
    return Trace(path.name, arrival_s, input_tokens, output_tokens, float(arrival_s[-1]))


def _answered(table: Table) -> Table:
    """Of an access log the requests that were answered, by arrival; any other table as it is."""
    columns = table.columns
    if not columns.keys() >= _ACCESS_LOG:
        return table
    tokens = zip(columns["input_tokens"], columns["output_tokens"], strict=True)
    rows = [row for row, both in enumerate(tokens) if all(both)]
    if not rows:
        raise DataError("holds no request that was answered", where=str(table.path))
    arrival_s = _numbers(pd.Series(columns["arrival"]))
    rows.sort(key=lambda row: arrival_s[row])
    kept = {name: [values[row] for row in rows] for name, values in columns.items()}
    return replace(table, columns=kept, lines=[table.lines[row] for row in rows])


def _column(
    table: Table, meaning: Meaning, names: tuple[str, ...], named: Mapping[Meaning, str]
) -> str:
    found = list(table.columns)
    if meaning in named:
        if named[meaning] in table.columns:
            return named[meaning]
        raise DataError(
            f"has no column {named[meaning]!r} (workload.columns.{meaning})",
            where=str(table.path),
            mend=f"its columns are: {', '.join(found[:20])}",
        )
    units = _UNITS if meaning == "arrival" else {"": 1.0}
    plain: dict[str, str] = {}
    for column in found:
        plain.setdefault(_plain(column), column)
    for name in names:
        for unit in units:
            if _plain(name + unit) in plain:
                return plain[_plain(name + unit)]
    raise DataError(
        f"has no column for {meaning}: looked for {', '.join(names)} among {', '.join(found[:20])}",
        where=str(table.path),
        mend=f"set workload.columns.{meaning} to the name of the column",
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _arrivals(table: Table, column: str) -> Floats:
    """Arrival times in seconds from the first request, checked to ascend [N]."""
    series = pd.Series(table.columns[column])
    if pd.api.types.is_timedelta64_dtype(series):
        series = series.dt.total_seconds()
    if pd.api.types.is_datetime64_any_dtype(series) or _is_text_of_dates(series):
        times = pd.to_datetime(series, format="ISO8601", utc=True, errors="coerce")
        _check(table, column, times.notna().to_numpy(), "should be a time, ISO 8601 or a number")
        # Subtracted as whole ticks: 100 ns would be lost in a float of seconds since 1970.
        since_first = (times - times.iloc[0]).dt.total_seconds()
        seconds = np.asarray(since_first, dtype=np.float64)
    else:
        values = _numbers(series)
        _check(table, column, np.isfinite(values), "should be a time, ISO 8601 or a number")
        factor = _unit(table, column)
        fits = np.abs(values) * factor < _LATEST_S
        _check(table, column, fits, "is too late for seconds", "end the name in _ms, _us or _ns")
        seconds = (values - values[0]) * factor
    in_order = np.diff(seconds, prepend=seconds[0]) >= 0
    _check(table, column, in_order, "is earlier than the line before", "sort the file by arrival")
    return seconds


def _is_text_of_dates(series: pd.Series) -> bool:
    """Whether the column is text whose first value is not a number."""
    if pd.api.types.is_numeric_dtype(series):
        return False
    return not np.isfinite(_numbers(series.iloc[:1])[0])


def _unit(table: Table, column: str) -> float:
    """Seconds in one unit of a numeric arrival column."""
    if column == "timestamp" and "hash_ids" in table.columns:
        return 1e-3
    unit = re.search(r"_(ms|us|ns)$", re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_"))
    return _UNITS[unit.group(1)] if unit else 1.0


def _tokens(table: Table, column: str) -> Ints:
    """Token counts, checked to be whole and at least 1 [N]."""
    values = _numbers(pd.Series(table.columns[column]))
    whole = np.isfinite(values) & (values == np.rint(values))
    _check(table, column, whole, "should be a whole number of tokens")
    _check(table, column, values <= MAX_TOKENS, f"should be at most {MAX_TOKENS}")
    _check(
        table,
        column,
        values >= 1,
        "should be at least 1",
        "a request without tokens is a failed one: remove it from the file",
    )
    return values.astype(np.int64)


def _numbers(series: pd.Series) -> Floats:
    """The column as floats, NaN where it is not a number [N]."""
    if pd.api.types.is_bool_dtype(series) or pd.api.types.is_datetime64_any_dtype(series):
        return np.full(len(series), np.nan)
    try:
        numbers = pd.to_numeric(series, errors="coerce")
    except OverflowError:
        # JSON may hold a whole number that no float can; as text it is infinite.
        numbers = pd.to_numeric(series.astype(str), errors="coerce")
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _check(
    table: Table, column: str, good: NDArray[np.bool_], problem: str, mend: str = ""
) -> None:
    """Raise DataError for the first row that is not good."""
    if good.all():
        return
    row = int(np.argmin(good))
    value = str(table.columns[column][row])[:40].strip()
    shown = "missing or NaN" if value.lower() in ("", "none", "nan") else value
    raise DataError(
        f"{column} {problem} (it is {shown})", where=table.place(row), mend=mend or "correct it"
    )
