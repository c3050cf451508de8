"""A trace file as a table, with the line each row came from.

Knows formats and what can be wrong with a file as a file: missing, empty, cut short, or not what
its suffix says. What the columns mean is the business of `boute.workload.readers`.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import json
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from boute.errors import DataError
from boute.files import read_bytes

__all__ = ["SUFFIXES", "Table", "read_table"]

SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".parquet")

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a file. `place(i)` names the file and the line (or row) that row i came from."""

    path: Path
    frame: pd.DataFrame
    place: Callable[[int], str]


def read_table(path: Path) -> Table:
    """Read a CSV, JSON Lines or Parquet file (text may be gzipped) by its suffix.

    Raises DataError naming the file, and the line where there is one.
    """
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)
    data = read_bytes(path, error=DataError)
    if suffix is None:
        raise DataError(
            "is of no known format", where=str(path), mend=f"known suffixes: {', '.join(SUFFIXES)}"
        )
    if not data:
        raise _empty(path)
    if suffix.endswith(".gz"):
        data = _unzipped(data, path)
    if suffix == ".parquet":
        return _parquet(data, path)
    text = _text(data, path)
    if not text.strip():
        raise _empty(path)
    return _csv(text, path) if suffix.startswith(".csv") else _json_lines(text, path)


def _csv(text: str, path: Path) -> Table:
    if text.lstrip()[0] in "{[":
        raise _not_its_suffix(path, "JSON", "CSV")
    try:
        with warnings.catch_warnings():
            # More fields than columns is a warning to pandas; here it means a damaged file.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(text), index_col=False, low_memory=False, skipinitialspace=True
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ")
        raise DataError(
            f"is not a whole CSV file: {reason}", where=str(path), mend="was it cut short?"
        ) from None
    frame.columns = [str(name).strip() for name in frame.columns]
    return _with_rows(Table(path, frame, lambda row: f"{path}:{_csv_line(text, row)}"))


def _csv_line(text: str, row: int) -> int:
    """Line on which data row `row` (from 0) ends, past blank lines and quoted line breaks."""
    reader = csv.reader(io.StringIO(text))
    with contextlib.suppress(csv.Error, StopIteration):
        return next(itertools.islice((reader.line_num for r in reader if r), row + 1, None))
    return row + 2


def _json_lines(text: str, path: Path) -> Table:
    records: list[dict[str, object]] = []
    lines: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise DataError(
                "is not JSON", where=f"{path}:{number}", mend="give one JSON object a line"
            ) from None
        if not isinstance(record, dict):
            raise DataError(
                "is not a JSON object", where=f"{path}:{number}", mend="give one object a line"
            )
        records.append(record)
        lines.append(number)
    frame = pd.DataFrame.from_records(records, columns=list(records[0]))
    return _with_rows(Table(path, frame, lambda row: f"{path}:{lines[row]}"))


def _parquet(data: bytes, path: Path) -> Table:
    if not data.startswith(_PARQUET):
        raise DataError("is not a Parquet file", where=str(path), mend="name it by what it holds")
    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except (OSError, ValueError, TypeError, LookupError, NotImplementedError) as error:
        raise DataError(
            f"is not a whole Parquet file: {error}", where=str(path), mend="was it cut short?"
        ) from None
    frame.columns = [str(name) for name in frame.columns]
    return _with_rows(Table(path, frame, lambda row: f"{path}: row {row + 1}"))


def _unzipped(data: bytes, path: Path) -> bytes:
    if not data.startswith(_GZIP):
        raise DataError("is not gzipped", where=str(path), mend="drop .gz from its name")
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        raise DataError(
            "is not a whole gzip file", where=str(path), mend="was it cut short?"
        ) from None


def _text(data: bytes, path: Path) -> str:
    if data.startswith(_GZIP):
        raise _not_its_suffix(path, "gzip", "text")
    if data.startswith(_PARQUET):
        raise _not_its_suffix(path, "Parquet", "text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"is not UTF-8 (byte {error.start})", where=str(path), mend="save it as UTF-8"
        ) from None
    if "\0" in text:
        raise DataError("holds zero bytes", where=str(path), mend="is it a text file?")
    return text


def _with_rows(table: Table) -> Table:
    if table.frame.empty:
        raise DataError("holds no requests", where=str(table.path), mend="was it cut short?")
    return table


def _empty(path: Path) -> DataError:
    return DataError("is empty", where=str(path), mend="was it cut short?")


def _not_its_suffix(path: Path, found: str, expected: str) -> DataError:
    return DataError(
        f"holds {found}, not {expected}", where=str(path), mend="name it by what it holds"
    )
