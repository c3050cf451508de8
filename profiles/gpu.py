"""What a GPU card says: memory, rates, links within its node, power and price, with sources."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from boute.documents import Document

__all__ = ["CardName", "GpuCard", "Interconnect", "Price"]

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
CardName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Topology = Literal["nvswitch", "nvlink-mesh", "nvlink-pairs", "infinity-fabric", "pcie", "memory"]


class Interconnect(Document):
    """How the GPUs of one node reach each other.

    `bandwidth_gb_s` is what one GPU sends in one direction over the best link. With
    `nvlink-pairs` that link joins two GPUs only, and a group of more than two falls back to
    `beyond_pair_gb_s`. Where links join GPUs one to one without a switch, `peer_gb_s` is what one
    GPU sends to one other, and `bandwidth_gb_s` what it sends to all. `latency_us` is the time of
    the smallest all-reduce. CPU cores meet in the `memory` that they share.
    """

    topology: Topology
    bandwidth_gb_s: Positive
    latency_us: Positive
    beyond_pair_gb_s: Positive | None = None
    peer_gb_s: Positive | None = None

    def group_bandwidth_gb_s(self, gpus: int) -> float:
        """Bandwidth per GPU and direction that `gpus` GPUs of a node have together, in GB/s."""
        if gpus > 2 and self.beyond_pair_gb_s is not None:
            return self.beyond_pair_gb_s
        if gpus > 1 and self.peer_gb_s is not None:
            return min(self.bandwidth_gb_s, self.peer_gb_s * (gpus - 1))
        return self.bandwidth_gb_s


class Price(Document):
    """US dollars an hour for one GPU, and where they come from.

    `read_on` is the day of the on-demand price. A spot price moves faster and is often another
    provider's, so `spot_source` tells its own place and day.
    """

    on_demand_per_hour: Positive
    spot_per_hour: Positive | None = None
    read_on: datetime.date
    source: str
    spot_source: str | None = None


class GpuCard(Document):
    """One GPU type.

    Memory in GiB as the driver reports it, rates in dense TFLOP/s (no sparsity), bandwidth in
    GB/s (1e9 bytes), power in watts. `sources` maps a field to where its figure comes from, with a
    dot for a nested one (`interconnect.latency_us`). Where the hardware has no bf16 units,
    `bf16_tflops` is its fp16 rate; `fp8_tflops` is None where it has no fp8 units. A card of vendor
    `cpu` is `cores` of a core that an engine has to itself: it may leave out `interconnect`, and
    powers are 0 where they are not counted.
    """

    name: CardName
    vendor: Literal["nvidia", "amd", "cpu"]
    cores: Annotated[float, Field(gt=0, le=1)] = 1.0
    ray_accelerator_type: str | None = None
    memory_gib: Positive
    bandwidth_gb_s: Positive
    bf16_tflops: Positive
    fp8_tflops: Positive | None = None
    interconnect: Interconnect
    node_gpus: Annotated[int, Field(ge=1, le=64)]
    idle_w: NotNegative
    peak_w: NotNegative
    price: Price
    sources: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _cores_share_their_memory(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("vendor") != "cpu" or "interconnect" in data:
            return data
        # An all-reduce between cores takes a pass through the cache that they share: assumed.
        link = {"topology": "memory", "bandwidth_gb_s": data.get("bandwidth_gb_s"), "latency_us": 1}
        return {**data, "interconnect": link}

    @model_validator(mode="after")
    def _is_possible(self) -> GpuCard:
        if self.vendor != "cpu" and self.cores != 1:
            raise ValueError("cores are for cards of vendor cpu")
        if self.vendor != "cpu" and self.idle_w == 0:
            raise ValueError("idle_w should be above 0")
        if self.peak_w < self.idle_w:
            raise ValueError("peak_w should be at least idle_w")
        return self
