"""Tables from files, CSV, JSON, JSON Lines or Parquet, as columns that know the line of each row.

Knows formats and what can be wrong with a file as a file: missing, empty, cut short, or not what
its suffix says. Values stay as the file has them (in CSV all are text); what columns mean is the
business of the room that reads them.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from boute.errors import DataError, nearest
from boute.files import read_bytes

__all__ = ["SUFFIXES", "Table", "read_table", "table_file"]

SUFFIXES = (
    *(".csv", ".csv.gz", ".json", ".json.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"),
    ".parquet",
)

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


@dataclass(frozen=True, eq=False)
class Table:
    """A file as named columns of one length.

    `lines` holds the line that each row begins on, in Parquet its number; both count from 1. Values
    are text in CSV, what JSON has in JSON Lines, and Python's or pandas' scalars in Parquet; None
    is a missing value of the last two.
    """

    path: Path
    columns: dict[str, list[object]]
    lines: Sequence[int]
    unit: Literal["line", "row"] = "line"

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> str:
        """The file and the line that a row (from 0) came from."""
        number = self.lines[row]
        return f"{self.path}:{number}" if self.unit == "line" else f"{self.path}: row {number}"


def table_file(name: str, path: Path, presets: Iterable[str]) -> Path | None:
    """What a spec means by `name`: the file at `path`, or a preset, for which this is None.

    A file that exists comes first. Raises DataError, with the nearest preset, when it is neither.
    """
    # Unlike Path.is_file, this takes a name too long for a file as one that is not there.
    if os.path.isfile(path):
        return path
    presets = list(presets)
    if name in presets:
        return None
    reason = "is a folder" if os.path.isdir(path) else "there is no such file"
    raise DataError(
        f"{reason}: neither a file nor a preset has this name",
        where=str(path),
        mend=nearest(name, presets, "presets"),
    )


def read_table(path: Path, *, rows: str = "rows") -> Table:
    """Read a CSV, JSON, JSON Lines or Parquet file (text may be gzipped) by its suffix.

    `rows` says what a row is, for the error of a file that has none. Raises DataError naming the
    file, and the line where there is one.
    """
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)
    data = read_bytes(path, error=DataError)
    if suffix is None:
        raise DataError(
            "is of no known format", where=str(path), mend=f"known suffixes: {', '.join(SUFFIXES)}"
        )
    if not data:
        raise _empty(path)
    if suffix == ".parquet":
        table = _parquet(data, path)
    else:
        text = _text(_unzipped(data, path) if suffix.endswith(".gz") else data, path)
        if suffix.startswith(".csv"):
            table = _csv(text, path)
        elif suffix in (".json", ".json.gz"):
            table = _json_array(text, path)
        else:
            table = _json_lines(text, path)
    if not table.lines or not table.columns:
        raise DataError(f"holds no {rows}", where=str(path), mend="was it cut short?")
    return table


def _csv(text: str, path: Path) -> Table:
    if text.lstrip()[0] in "{[":
        raise _not_its_suffix(path, "JSON", "CSV")
    rows: list[list[str]] = []
    lines: list[int] = []
    with _no_limit_on_fields():
        numbered = _csv_rows(text, path)
        header = _header(*next(numbered), path)
        for line, row in numbered:
            if len(row) != len(header):
                raise DataError(
                    f"has {len(row)} values, but the header names {len(header)}",
                    where=f"{path}:{line}",
                    mend="was it cut short, or is a comma not quoted?",
                )
            rows.append(row)
            lines.append(line)
    return Table(path, {name: [row[i] for row in rows] for i, name in enumerate(header)}, lines)


def _header(line: int, row: list[str], path: Path) -> list[str]:
    """The names of the columns, checked to differ."""
    names = [name.strip() for name in row]
    for name in names:
        if names.count(name) > 1:
            raise DataError(
                f"has two columns {name or '(no name)'}",
                where=f"{path}:{line}",
                mend="rename or remove one",
            )
    return names


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line that it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    line = 1
    try:
        for row in reader:
            if len(row) > 1 or "".join(row).strip():
                yield line, row
            # A quoted text may span lines: the next row begins after this one's last line.
            line = reader.line_num + 1
    except csv.Error as problem:
        raise DataError(
            f"is not valid CSV: {problem}", where=f"{path}:{line}", mend="was it cut short?"
        ) from None


@contextlib.contextmanager
def _no_limit_on_fields() -> Iterator[None]:
    """The csv module takes texts of 131,072 characters at most; its limit holds for all readers."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _json_lines(text: str, path: Path) -> Table:
    records: list[dict[str, object]] = []
    lines: list[int] = []
    # Not splitlines(): JSON strings may hold other Unicode line separators.
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
    return Table(path, _by_name(records), lines)


def _json_array(text: str, path: Path) -> Table:
    try:
        records = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError("is not JSON", where=str(path), mend="was it cut short?") from None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError("is not an array of JSON objects", where=str(path), mend="one object a row")
    return Table(path, _by_name(records), range(1, len(records) + 1), unit="row")


def _by_name(records: list[dict[str, object]]) -> dict[str, list[object]]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def _parquet(data: bytes, path: Path) -> Table:
    if not data.startswith(_PARQUET):
        raise DataError("is not a Parquet file", where=str(path), mend="name it by what it holds")
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except (OSError, ValueError, TypeError, LookupError, NotImplementedError) as error:
        raise DataError(
            f"is not a whole Parquet file: {error}", where=str(path), mend="was it cut short?"
        ) from None
    columns: dict[str, list[object]] = {}
    for name in frame.columns:
        values = frame[name].astype(object)
        columns[str(name)] = values.where(values.notna(), None).tolist()
    return Table(path, columns, range(1, len(frame) + 1), unit="row")


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
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"is not UTF-8 (byte {error.start} of the file)",
            where=f"{path}:{line}",
            mend="save it as UTF-8",
        ) from None
    if "\0" in text:
        raise DataError("holds zero bytes", where=str(path), mend="is it a text file?")
    if not text.strip():
        raise _empty(path)
    return text


def _empty(path: Path) -> DataError:
    return DataError("is empty", where=str(path), mend="was it cut short?")


def _not_its_suffix(path: Path, found: str, expected: str) -> DataError:
    return DataError(
        f"holds {found}, not {expected}", where=str(path), mend="name it by what it holds"
    )
