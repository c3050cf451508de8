"""Median hypervolume of each sampler against evaluations and against seconds, a picture a case."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.search.bars import volume_at
from benchmarks.search.cell import Record
from boute.report.rivalry_png import Line, write_lines_png

__all__ = ["write_picture"]

_PLACES: Final = 160


def write_picture(title: str, searches: Mapping[str, Sequence[Record]], path: Path) -> None:
    """Write the picture. A search that ended keeps what it had; raise OutputError."""
    by_time, by_count = [], []
    for name, records in searches.items():
        last_s = max(record["cell"]["seconds"] for record in records)
        most = max(record["evaluations"] for record in records)
        seconds = np.geomspace(0.5, last_s, _PLACES)
        counts = np.unique(np.geomspace(1, max(most, 1), _PLACES).astype(int))
        curves = [record["curve"] for record in records]
        by_time.append(_line(name, seconds, [[volume_at(c, s) for c in curves] for s in seconds]))
        volumes = [[volume_at(c, evaluations=n) for c in curves] for n in counts]
        by_count.append(_line(name, counts, volumes))
    write_lines_png(title, by_count, by_time, path)


def _line(name: str, across: Iterable[float], volumes: list[list[float]]) -> Line:
    return Line(name, tuple(map(float, across)), tuple(map(statistics.median, volumes)))
