"""What one GPU costs an hour: the spec's own price, or the catalog's."""

from __future__ import annotations

from boute.errors import SpecError
from boute.profiles.gpu import GpuCard
from boute.spec.model import GpuSupply

__all__ = ["gpu_price"]


def gpu_price(name: str, supply: GpuSupply, card: GpuCard) -> float:
    """US dollars an hour of one GPU; raise SpecError when a spot price is asked for and unknown.

    `name` is that of the GPU type in the spec.
    """
    if supply.price_per_hour is not None:
        return supply.price_per_hour
    if not supply.spot:
        return card.price.on_demand_per_hour
    if card.price.spot_per_hour is None:
        raise SpecError(
            f"the catalog has no spot price for {card.name}",
            where=f"gpus.{name}.spot",
            mend=f"set gpus.{name}.price_per_hour",
        )
    return card.price.spot_per_hour
