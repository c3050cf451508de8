"""What a GPU card says: memory, rates, links within its node, power and price, with sources."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import Field

from boute.documents import Document

__all__ = ["GpuCard", "Interconnect", "Price"]

Positive = Annotated[float, Field(gt=0)]
Topology = Literal["nvswitch", "nvlink-mesh", "nvlink-pairs", "infinity-fabric", "pcie"]


class Interconnect(Document):
    """How the GPUs of one node reach each other.

    `bandwidth_gb_s` is what one GPU sends in one direction over the best link. With
    `nvlink-pairs` that link joins two GPUs only, and a group of more than two falls back to
    `beyond_pair_gb_s`.
    """

    topology: Topology
    bandwidth_gb_s: Positive
    latency_us: Positive
    beyond_pair_gb_s: Positive | None = None

    def group_bandwidth_gb_s(self, gpus: int) -> float:
        """Bandwidth per GPU and direction that a ring of `gpus` GPUs gets, in GB/s."""
        if gpus > 2 and self.beyond_pair_gb_s is not None:
            return self.beyond_pair_gb_s
        return self.bandwidth_gb_s


class Price(Document):
    """US dollars an hour for one GPU, and the day and place that they were read."""

    on_demand_per_hour: Positive
    spot_per_hour: Positive | None = None
    read_on: datetime.date
    source: str


class GpuCard(Document):
    """One GPU type.

    Memory in GiB as the driver reports it, rates in dense TFLOP/s (no sparsity), bandwidth in
    GB/s (1e9 bytes), power in watts. `sources` maps a field to where its figure comes from;
    `fp8_tflops` is None where the hardware has no fp8 matrix units.
    """

    name: str
    vendor: Literal["nvidia", "amd"]
    ray_accelerator_type: str | None = None
    memory_gib: Positive
    bandwidth_gb_s: Positive
    bf16_tflops: Positive
    fp8_tflops: Positive | None = None
    interconnect: Interconnect
    node_gpus: Annotated[int, Field(ge=1, le=64)]
    idle_w: Positive
    peak_w: Positive
    price: Price
    sources: dict[str, str] = Field(default_factory=dict)
