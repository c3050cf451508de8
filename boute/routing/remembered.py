"""What rows were judged by, kept beside the router: fits on held-out rows take seconds to repeat.

It is of use only for the same rows, held out in the same way, which a key tells. A file that is
damaged, or of other rows, is as none.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from boute.errors import DataError
from boute.files import read_bytes, write_bytes
from boute.routing.policies.evidence import Evidence
from boute.workload.arrays import Floats

__all__ = ["FILE", "recall", "remember"]

FILE: Final = "held_out.npz"
_PREDICTED: Final = ("quality", "output_tokens")


def remember(folder: Path, key: str, evidence: Evidence) -> None:
    """Write scores, and predictions if there are any, the same bytes each time; OutputError."""
    arrays = {"score": evidence.score}
    for name in _PREDICTED:
        if (values := getattr(evidence, name)) is not None:
            arrays[name] = values
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, key=np.array(key), **arrays)
    write_bytes(folder / FILE, buffer.getvalue())


def recall(folder: Path | None, key: str, models: int) -> Evidence | None:
    """What was remembered under the key; predictions of so many models come along if they are."""
    if folder is None:
        return None
    try:
        data = read_bytes(folder / FILE, error=DataError)
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            found = {name: file[name] for name in ("score", *_PREDICTED) if name in file.files}
    except (DataError, ValueError, LookupError, OSError, EOFError, zipfile.BadZipFile):
        return None
    rows = found["score"].shape[:1] if "score" in found else ()
    shapes = {"score": rows, **dict.fromkeys(_PREDICTED, (*rows, models))}
    if not rows or not all(_plain(array, shapes[name]) for name, array in found.items()):
        return None
    return Evidence(**found)


def _plain(array: Floats, shape: tuple[int, ...]) -> bool:
    return array.dtype == np.float64 and array.shape == shape and bool(np.isfinite(array).all())
