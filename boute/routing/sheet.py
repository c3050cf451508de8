"""A file of a quality table as columns of numbers, texts and keys, with the place of every value.

Reading files is for `boute.tables`, and what the columns mean is for `boute.routing.table`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from boute.errors import DataError, nearest
from boute.tables import Table, read_table
from boute.workload.arrays import Floats, Ints

__all__ = ["Sheet", "read_sheet"]


class Sheet(Table):
    """A table whose columns are asked for as numbers, as text or as keys."""

    def fail(self, problem: str, column: str, row: int, *, mend: str = "") -> NoReturn:
        """Raise DataError at a row and column."""
        raise DataError(problem, where=f"{self.place(row)}: {column}", mend=mend)

    def require(self, candidates: Sequence[str], what: str) -> str:
        """The first of the candidates that is a column; raise DataError with the nearest names."""
        found = next((name for name in candidates if name in self.columns), None)
        if found is None:
            names = " or ".join(candidates)
            raise DataError(
                f"has no column {names} ({what})",
                where=str(self.path),
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
                self.fail(f"{', '.join(value)} is also on {self.unit} {first}", ", ".join(key), row)
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


def read_sheet(path: Path) -> Sheet:
    """Read a CSV, JSON Lines or Parquet file; raise DataError naming file and line."""
    table = read_table(path)
    return Sheet(table.path, table.columns, table.lines, table.unit)
