"""How much of a GPU's power its work draws, and how that follows the clock.

The figures are in profiles/power.yaml; `python -m benchmarks.fit_power` fits them on measured power
and shows the residuals. A GPU type that was not measured takes the medians, with a wider error.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

import boute.profiles
from boute.documents import Document, load_document
from boute.errors import ProfileError

__all__ = ["PowerCoefficients", "PowerTable", "load_power", "power_path"]

Share = Annotated[float, Field(ge=0, le=1)]


class PowerCoefficients(Document):
    """Power of one GPU type. Shares are of what lies between idle and peak on its card.

    `weights` is drawn while weights are read, `cache` while the KV cache is; arithmetic draws all.
    Below the top clock `arithmetic_static` and `memory_static` of it stay, the rest goes with V^2 f
    where the voltage V follows the clock down to `voltage_floor` of its top. `error` is the mean
    absolute relative error of the mean power of a run, from `error_source`.
    """

    weights: Share
    cache: Share
    arithmetic_static: Share
    memory_static: Share
    voltage_floor: Annotated[float, Field(gt=0, le=1)]
    error: Annotated[float, Field(gt=0)]
    error_source: str
    source: str


class PowerTable(Document):
    """The whole file: when it was fitted, GPU types by the name of their card, and the default."""

    fitted_on: str
    default: PowerCoefficients
    gpus: dict[str, PowerCoefficients]


def power_path() -> Path:
    """The shipped file."""
    return Path(boute.profiles.__file__).parent / "power.yaml"


def load_power(gpu_name: str | None = None) -> PowerCoefficients:
    """Coefficients of a GPU type by the name of its card; the default where none are known."""
    table = _table()
    return table.gpus.get(gpu_name or "", table.default)


@cache
def _table() -> PowerTable:
    return load_document(power_path(), PowerTable, error=ProfileError)
