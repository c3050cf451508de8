"""The store of cells: a file of JSON lines, so that a run of hours can be killed and go on.

A record counts as long as what made it is unchanged: the case, the limits, and every module of
boute that the search had loaded. A change to one sampler leaves the records of the others.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchmarks.search.cell import Cell, Record, hash_of_case, hash_of_source

__all__ = ["Store"]


class Store:
    """Records by cell, the latest of each; appended to the file one line at a time."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self._path = path
        if fresh:
            path.unlink(missing_ok=True)
        self._records: dict[Cell, Record] = {}
        for record in _read(path):
            self._records[Cell(**record["cell"])] = record

    def find(self, cell: Cell) -> Record | None:
        """The record of a cell, if there is one and it is still true."""
        record = self._records.get(cell)
        return record if record is not None and _is_current(record, cell) else None

    def add(self, record: Record) -> None:
        """Keep a record, on disk too."""
        self._records[Cell(**record["cell"])] = record
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def _read(path: Path) -> list[Record]:
    """The whole lines of the file; one that a kill cut short is removed from it."""
    if not path.exists():
        return []
    *whole, rest = path.read_bytes().split(b"\n")
    if rest:
        os.truncate(path, path.stat().st_size - len(rest))
    return [json.loads(line) for line in whole]


def _is_current(record: Record, cell: Cell) -> bool:
    return record["case_hash"] == hash_of_case(cell.case) and all(
        hash_of_source(name) == found for name, found in record["sources"].items()
    )
