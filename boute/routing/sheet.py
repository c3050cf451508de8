"""Reading the files of a quality table as columns, with the line of every value.

CSV, JSONL (both also as .gz) and Parquet. Nothing is interpreted here beyond numbers and text; what
the columns mean is for `boute.routing.table`.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from boute.errors import DataError
from boute.files import read_bytes
from boute.workload.arrays import Floats, Ints

__all__ = ["Sheet", "nearest", "read_sheet"]

SUFFIXES = (".csv", ".jsonl", ".parquet", ".csv.gz", ".jsonl.gz")


@dataclass(frozen=True, eq=False)
class Sheet:
    """A file as columns of one length; `lines` holds each row's line (its number in Parquet)."""

    file: str
    columns: dict[str, list[object]]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.lines)

    def fail(self, problem: str, column: str, row: int, *, mend: str = "") -> NoReturn:
        """Raise DataError at a row and column."""
        place = f"{self.file}:{self.lines[row]}: {column}"
        raise DataError(problem, where=place, mend=mend)

    def require(self, candidates: Sequence[str], what: str) -> str:
        """The first of the candidates that is a column; raise DataError with the nearest names."""
        found = next((name for name in candidates if name in self.columns), None)
        if found is None:
            names = " or ".join(candidates)
            raise DataError(
                f"has no column {names} ({what})",
                where=self.file,
                mend=nearest(candidates, self.columns, "columns"),
            )
        return found

    def numbers(self, column: str, rows: Iterable[int]) -> Floats:
        """The column's values at `rows`, NaN where empty; raise DataError when not a number."""
        values = self.columns[column]
        return np.array([self._number(values[row], column, row) for row in rows], dtype=np.float64)

    def finite(self, column: str, rows: Ints) -> Floats:
        """The column's values at `rows`; raise DataError where one is empty, NaN or infinite."""
        values = self.numbers(column, rows)
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            self.fail("should be a finite number", column, int(rows[wrong[0]]))
        return values

    def texts(self, column: str, rows: Iterable[int]) -> tuple[str, ...]:
        """The column's text at `rows`; raise DataError where there is none."""
        values = self.columns[column]
        for row in rows:
            value = values[row]
            if not isinstance(value, str) or not value.strip():
                self.fail("has no text", column, row, mend="fill it in or remove the row")
        return tuple(str(values[row]) for row in rows)

    def by_key(self, key: Sequence[str]) -> dict[tuple[str, ...], int]:
        """Row of each key; raise DataError when two rows have one key."""
        found: dict[tuple[str, ...], int] = {}
        for row in range(len(self)):
            value = self.key_of(row, key)
            if value in found:
                first = self.lines[found[value]]
                self.fail(f"{', '.join(value)} is also on line {first}", ", ".join(key), row)
            found[value] = row
        return found

    def key_of(self, row: int, key: Sequence[str]) -> tuple[str, ...]:
        """The values of the key columns at a row, as text."""
        return tuple(str(self.columns[name][row]) for name in key)

    def _number(self, value: object, column: str, row: int) -> float:
        if value is None or value == "":
            return math.nan
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return float(value.strip().lower() == "true")
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            self.fail(f"should be a number (it is {value!r:.40})", column, row)


def nearest(wanted: Sequence[str], known: Iterable[str], kind: str) -> str:
    """A mend for a name that is not known: the nearest known ones, or all of them."""
    names = list(known)
    folded = {name.lower(): name for name in names}
    close = [
        folded[match]
        for name in wanted
        for match in difflib.get_close_matches(name.lower(), folded, n=2)
    ]
    if close:
        return f"did you mean {' or '.join(dict.fromkeys(close))}?"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"{kind}: {', '.join(names[:12])}{more}"


def read_sheet(path: Path) -> Sheet:
    """Read a CSV, JSONL or Parquet file; raise DataError naming file and line."""
    file = str(path)
    if path.is_dir():
        raise DataError("is a folder, not a file", where=file, mend="name a file in it")
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise DataError("has no known ending", where=file, mend=f"use {', '.join(SUFFIXES)}")
    data = read_bytes(path, error=DataError)
    if name.endswith(".parquet"):
        sheet = _read_parquet(file, data)
    else:
        text = _decode(file, _unzip(file, data) if name.endswith(".gz") else data)
        sheet = (_read_csv if ".csv" in name[-7:] else _read_jsonl)(file, text)
    if not sheet.lines:
        raise DataError("holds no rows", where=file, mend="was it cut short?")
    return sheet


def _unzip(file: str, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        raise DataError("is not a whole gzip file", where=file, mend="was it cut short?") from None


def _decode(file: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise DataError("is not UTF-8", where=f"{file}:{line}", mend="save it as UTF-8") from None


def _read_csv(file: str, text: str) -> Sheet:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    line = 1
    limit = csv.field_size_limit(len(text) + 1)
    try:
        for row in reader:
            if not header:
                header = [name.strip() for name in row]
            elif row and len(row) != len(header):
                raise DataError(
                    f"has {len(row)} values, but the header names {len(header)}",
                    where=f"{file}:{line}",
                    mend="was it cut short, or is a comma not quoted?",
                )
            elif row:
                rows.append(row)
                lines.append(line)
            # A quoted text may span lines: the next row starts after this one's last line.
            line = reader.line_num + 1
    except csv.Error as problem:
        raise DataError(f"is not valid CSV: {problem}", where=f"{file}:{line}") from None
    finally:
        csv.field_size_limit(limit)
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"has two columns {name or '(no name)'}", where=f"{file}:1")
    return Sheet(file, {name: [row[i] for row in rows] for i, name in enumerate(header)}, lines)


def _read_jsonl(file: str, text: str) -> Sheet:
    rows: list[dict[str, object]] = []
    lines: list[int] = []
    # Not splitlines(): JSON strings may hold other Unicode line separators.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise DataError(
                "is not valid JSON", where=f"{file}:{number}", mend="was it cut short?"
            ) from None
        if not isinstance(row, dict):
            raise DataError("should be a JSON object", where=f"{file}:{number}")
        rows.append(row)
        lines.append(number)
    names = dict.fromkeys(name for row in rows for name in row)
    return Sheet(file, {name: [row.get(name) for row in rows] for name in names}, lines)


def _read_parquet(file: str, data: bytes) -> Sheet:
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except (ValueError, OSError, NotImplementedError):
        raise DataError(
            "is not a whole Parquet file", where=file, mend="was it cut short?"
        ) from None
    columns: dict[str, list[object]] = {}
    for name in frame.columns:
        values = frame[name].astype(object)
        columns[str(name)] = values.where(values.notna(), None).tolist()
    return Sheet(file, columns, list(range(1, len(frame) + 1)))
