"""Measured runs from a file of any format that is known, told apart by suffix and content."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from boute.calibration.request_log import read_requests
from boute.calibration.results import read_guidellm, read_vllm
from boute.calibration.runs import Given, Loaded
from boute.calibration.silicon import read_silicon
from boute.errors import DataError
from boute.files import read_bytes
from boute.tables import read_table

__all__ = ["read_runs"]

FORMATS = (
    "silicon_sample CSV (.csv, .csv.gz), the JSON of vllm bench serve, boute bench or guidellm, "
    "or requests as JSON Lines (.jsonl)"
)


def read_runs(paths: Sequence[Path], given: Given) -> Loaded:
    """All runs of some files; raise DataError for a file that is none of the formats."""
    loaded = Loaded()
    for path in paths:
        found = _read(path, given)
        loaded.runs += found.runs
        loaded.skipped += found.skipped
    return loaded


def _read(path: Path, given: Given) -> Loaded:
    name = path.name.removesuffix(".gz")
    if name.endswith(".json"):
        return _summary(path, given)
    if name.endswith((".jsonl", ".ndjson")):
        return read_requests(read_table(path), given)
    if name.endswith(".csv"):
        return read_silicon(read_table(path))
    raise DataError("is no format that is known", where=str(path), mend=f"give {FORMATS}")


def _summary(path: Path, given: Given) -> Loaded:
    content = read_bytes(path, error=DataError)
    try:
        data = json.loads(gzip.decompress(content) if path.name.endswith(".gz") else content)
    except (ValueError, OSError, EOFError):
        raise DataError("is not valid JSON", where=str(path), mend="is it cut short?") from None
    if isinstance(data, Mapping) and isinstance(data.get("benchmarks"), list):
        return read_guidellm(data, given, str(path))
    if isinstance(data, Mapping) and "mean_ttft_ms" in data:
        return read_vllm(data, given, str(path))
    raise DataError("is no format that is known", where=str(path), mend=f"give {FORMATS}")
