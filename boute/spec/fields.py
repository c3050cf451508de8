"""Kinds of values that several parts of a spec share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

__all__ = ["Count", "FileName", "Fraction", "KvCache", "Name", "Positive", "Seed", "Weights"]

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Weights = Literal["bf16", "fp8", "int4"]
KvCache = Literal["bf16", "fp8"]


def _can_be_a_path(value: str) -> str:
    if "\0" in value or any(len(part.encode()) > 255 for part in value.split("/")):
        raise ValueError("should name a file or something that boute ships")
    return value


FileName = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_can_be_a_path)]
