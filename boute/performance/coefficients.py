"""How much of its data sheet each GPU type delivers, and how far predictions are off.

The figures are in profiles/coefficients.yaml. `boute profile fit` fits them on measured kernels and
writes them with their sources and residuals; `boute profile check` shows the errors on end-to-end
runs that no fit has seen. A GPU type that is not listed takes `default`, the medians of the fitted
ones, with a wider error.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

import boute.profiles
from boute.documents import Document, load_document
from boute.errors import ProfileError

__all__ = [
    "CoefficientTable",
    "HostCoefficients",
    "LinkPiece",
    "MatrixCoefficients",
    "Residual",
    "StepCoefficients",
    "coefficients_path",
    "load_coefficients",
    "load_host",
    "load_table",
]

Efficiency = Annotated[float, Field(gt=0, le=1.2)]
# Activations can come from a cache, faster than memory is.
Streaming = Annotated[float, Field(gt=0, le=4)]
Microseconds = Annotated[float, Field(ge=0, le=10_000)]


class MatrixCoefficients(Document):
    """Matrix multiplications of one number format of weights.

    `rate` is the share of the card's tensor rate, `memory` of its bandwidth when weights are read,
    `stream` when activations go in and out (for fp8 their quantisation too), `launch_us` what one
    multiplication takes with nothing to do.
    """

    rate: Efficiency
    memory: Efficiency
    stream: Streaming
    launch_us: Microseconds


class LinkPiece(Document):
    """All-reduces of up to `up_to_mib` (None: any size): a latency, and a share of the link.

    The share is of what a ring would take, 2 (n - 1) / n times the bytes over every GPU's link.
    """

    up_to_mib: Annotated[float, Field(gt=0)] | None = None
    latency_us: Microseconds
    share: Annotated[float, Field(gt=0, le=2)]


class Residual(Document):
    """Mean absolute relative error of a fit over so many measured kernels."""

    rows: Annotated[int, Field(ge=0)]
    error: Annotated[float, Field(ge=0)]
    source: str


class StepCoefficients(Document):
    """Coefficients of one GPU type; efficiencies are shares of the figures on its card.

    `attention` is of the bf16 rate in prefill and `attention_stream` of the bandwidth at which its
    queries and answers move, `kv` and `kv_fp8` of the bandwidth when decodes read the cache. Per
    layer `layer_us` is what attention and the small kernels take with nothing to do and
    `layer_sequence_us` what a decode adds to it. `links` are the all-reduces by the size of the
    group, smaller messages first. In a step that computes prompts too, every cached token
    of a decode costs what `mixed_rows` tokens of a prompt cost that attend to it, and attention
    takes `mixed_tile_ps` picoseconds more for every query head, decode and token of a prompt.
    `tpot_error` and `ttft_error` are the mean absolute relative
    errors to expect, from `error_source`; `residuals` are those of the fits, by coefficient.
    """

    bf16: MatrixCoefficients
    fp8: MatrixCoefficients
    attention: Efficiency
    attention_stream: Streaming
    kv: Efficiency
    kv_fp8: Efficiency
    mixed_rows: Annotated[float, Field(ge=0, le=256)] = 0.0
    mixed_tile_ps: Annotated[float, Field(ge=0, le=1000)] = 0.0
    layer_us: Microseconds
    layer_sequence_us: Microseconds
    links: dict[int, list[LinkPiece]]
    source: str
    residuals: dict[str, Residual]
    tpot_error: Annotated[float, Field(gt=0)]
    ttft_error: Annotated[float, Field(gt=0)]
    error_source: str

    @field_validator("links")
    @classmethod
    def _three_pieces_at_most(cls, value: dict[int, list[LinkPiece]]) -> dict[int, list[LinkPiece]]:
        for pieces in value.values():
            limits = [piece.up_to_mib for piece in pieces]
            if not 1 <= len(pieces) <= 3 or limits[-1] is not None or None in limits[:-1]:
                raise ValueError("should be one to three pieces, all but the last with up_to_mib")
        return value

    def link(self, group: int) -> list[LinkPiece]:
        """Pieces for a group of `group` GPUs: those of the next smaller group that is known."""
        return self.links[max((size for size in self.links if size <= group), default=2)]


class HostCoefficients(Document):
    """The host's share of a step: for the step, for each sequence in it, and where it shows.

    An engine that schedules ahead prepares a step while the one before runs and pays `gap_us`
    between them; one that does not pays all of it every step.
    """

    step_us: Microseconds
    sequence_us: Microseconds
    gap_us: Microseconds
    source: str


class CoefficientTable(Document):
    """The whole file: when it was fitted, the host, GPU types by the name of their card, default.

    `pcie_links` replaces the default's `links` where GPUs meet over PCIe only.
    """

    fitted_on: str
    host: HostCoefficients
    pcie_links: dict[int, list[LinkPiece]]
    default: StepCoefficients
    gpus: dict[str, StepCoefficients]


def coefficients_path() -> Path:
    """The shipped file."""
    return Path(boute.profiles.__file__).parent / "coefficients.yaml"


def load_coefficients(gpu_name: str, *, pcie: bool = False) -> StepCoefficients:
    """Coefficients of a GPU type by the name of its card; the default where none are known.

    `pcie` says that the GPUs of an unknown type meet over PCIe only.
    """
    table = load_table()
    if gpu_name in table.gpus:
        return table.gpus[gpu_name]
    links = {"links": table.pcie_links} if pcie else {}
    return table.default.model_copy(update=links)


def load_host() -> HostCoefficients:
    """The host's share of a step, the same for every GPU type."""
    return load_table().host


@cache
def load_table() -> CoefficientTable:
    """The shipped coefficients of every GPU type."""
    return load_document(coefficients_path(), CoefficientTable, error=ProfileError)
