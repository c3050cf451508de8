"""Number formats as options of several verbs."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["KvCache", "Weights"]


class Weights(StrEnum):
    """Number formats of weights."""

    bf16 = "bf16"
    fp8 = "fp8"
    int4 = "int4"


class KvCache(StrEnum):
    """Number formats of the KV cache."""

    bf16 = "bf16"
    fp8 = "fp8"
