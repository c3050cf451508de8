"""Reading the tensors of a safetensors file, which is JSON and raw numbers and cannot run code.

Only what an embedding model needs: float32, float16 and bfloat16. Format: an unsigned 64-bit
length, a JSON header of dtype, shape and offsets by name, and the data (huggingface/safetensors).
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boute.errors import DataError

__all__ = ["read_tensors"]

_MOST_HEADER_BYTES: Final = 10 * 2**20
_SIZES: Final = {"F32": 4, "F16": 2, "BF16": 2}


def read_tensors(data: bytes, where: str) -> dict[str, NDArray[np.float32]]:
    """The floating-point tensors by name, other kinds left out; raise DataError when damaged."""
    try:
        size = int.from_bytes(data[:8], "little")
        if size > min(_MOST_HEADER_BYTES, len(data) - 8):
            raise ValueError
        header: dict[str, Any] = json.loads(data[8 : 8 + size])
        body = memoryview(data)[8 + size :]
        return {
            name: _tensor(body, entry)
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] in _SIZES
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(
            "is not a whole safetensors file", where=where, mend="copy the model again"
        ) from None


def _tensor(body: memoryview, entry: dict[str, Any]) -> NDArray[np.float32]:
    shape = tuple(int(length) for length in entry["shape"])
    start, end = (int(offset) for offset in entry["data_offsets"])
    wanted = math.prod(shape) * _SIZES[entry["dtype"]]
    if not 0 <= start <= end <= len(body) or end - start != wanted or min(shape, default=1) < 0:
        raise ValueError
    raw = body[start:end]
    if entry["dtype"] == "BF16":
        # The upper half of a float32.
        wide = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << np.uint32(16)
        return wide.view(np.float32).reshape(shape)
    kind = "<f4" if entry["dtype"] == "F32" else "<f2"
    return np.frombuffer(raw, dtype=kind).astype(np.float32, copy=False).reshape(shape)
