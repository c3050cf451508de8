"""How much of its data sheet each GPU type delivers, and how far predictions are off.

The figures are in profiles/coefficients.yaml. `python -m benchmarks.fit_step_coefficients` fits
them on measured kernels, `python -m benchmarks.check_step_errors` measures the errors on
end-to-end runs that no fit has seen. A GPU type that is not listed takes `default`, the medians of
the fitted ones, with a wider error.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

import boute.profiles
from boute.documents import Document, load_document
from boute.errors import ProfileError

__all__ = ["CoefficientTable", "StepCoefficients", "coefficients_path", "load_coefficients"]

Efficiency = Annotated[float, Field(gt=0, le=1.2)]
Microseconds = Annotated[float, Field(ge=0, le=10_000)]


class StepCoefficients(Document):
    """Coefficients of one GPU type; efficiencies are shares of the figures on its card.

    `gemm` and `fp8_gemm` of the dense tensor rates, `attention` of the bf16 rate in prefill,
    `memory` of the bandwidth when weights are read, `kv` when the cache is, `links` of the
    interconnect in an all-reduce, by the size of the group. `layer_us` is what a layer's kernels
    take with nothing to do, `step_us` the host's share of a step, `sequence_us` what a sampled
    sequence adds. `tpot_error` and `ttft_error` are the mean absolute relative errors to expect,
    from `error_source`.
    """

    gemm: Efficiency
    fp8_gemm: Efficiency
    attention: Efficiency
    memory: Efficiency
    kv: Efficiency
    links: dict[int, Efficiency]
    layer_us: Microseconds
    step_us: Microseconds
    sequence_us: Microseconds
    source: str
    tpot_error: Annotated[float, Field(gt=0)]
    ttft_error: Annotated[float, Field(gt=0)]
    error_source: str

    def link_efficiency(self, group: int) -> float:
        """Share of the link in a group of `group` GPUs: the next smaller group that is known."""
        return self.links[max((size for size in self.links if size <= group), default=2)]


class CoefficientTable(Document):
    """The whole file: when it was fitted, GPU types by the name of their card, and the default.

    `pcie_links` replaces the default's `links` where GPUs meet over PCIe only.
    """

    fitted_on: str
    pcie_links: dict[int, Efficiency]
    default: StepCoefficients
    gpus: dict[str, StepCoefficients]


def coefficients_path() -> Path:
    """The shipped file."""
    return Path(boute.profiles.__file__).parent / "coefficients.yaml"


def load_coefficients(gpu_name: str, *, pcie: bool = False) -> StepCoefficients:
    """Coefficients of a GPU type by the name of its card; the default where none are known.

    `pcie` says that the GPUs of an unknown type meet over PCIe only.
    """
    table = _table()
    if gpu_name in table.gpus:
        return table.gpus[gpu_name]
    links = {"links": table.pcie_links} if pcie else {}
    return table.default.model_copy(update=links)


@cache
def _table() -> CoefficientTable:
    return load_document(coefficients_path(), CoefficientTable, error=ProfileError)
