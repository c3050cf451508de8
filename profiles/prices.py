"""Prices from a SkyPilot catalog: the CSV of one provider that skypilot-catalog publishes daily.

Its columns are AcceleratorName, AcceleratorCount, Price, SpotPrice and Region among others
(github.com/skypilot-org/skypilot-catalog). Prices there are for a whole instance.
"""

from __future__ import annotations

import csv
import datetime
import io
import math
from dataclasses import dataclass
from pathlib import Path

from boute.errors import DataError
from boute.files import read_text
from boute.profiles.gpu import GpuCard, Price

__all__ = ["Offer", "read_prices", "with_offer"]

COLUMNS = ("AcceleratorName", "AcceleratorCount", "Price", "SpotPrice", "Region")

# SkyPilot's names of accelerators, which differ a little from provider to provider.
CARDS = {
    "T4": "t4",
    "L4": "l4",
    "A10G": "a10g",
    "A40": "a40",
    "L40S": "l40s",
    "RTX4090": "rtx-4090",
    "RTX-4090": "rtx-4090",
    "RTXPRO6000": "rtx-pro-6000",
    "RTX-PRO-6000": "rtx-pro-6000",
    "V100-32GB": "v100-32gb",
    "A100": "a100-40gb",
    "A100-80GB": "a100-80gb",
    "A100-80GB-SXM": "a100-80gb",
    "H100": "h100-sxm",
    "H100-SXM": "h100-sxm",
    "H200": "h200",
    "H200-SXM": "h200",
    "B200": "b200",
    "MI300X": "mi300x",
}


@dataclass(frozen=True)
class Offer:
    """The lowest prices of one GPU type, in US dollars an hour for one GPU."""

    on_demand_per_hour: float
    spot_per_hour: float | None


def read_prices(path: Path, *, region: str | None = None) -> dict[str, Offer]:
    """Lowest price per card name, of one region or of all; raise DataError."""
    reader = csv.DictReader(io.StringIO(read_text(path, error=DataError)))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise DataError(
            f"has no column {missing[0]}", where=str(path), mend="give a SkyPilot vms.csv"
        )
    on_demand: dict[str, float] = {}
    spot: dict[str, float] = {}
    for row in reader:
        card = CARDS.get(row["AcceleratorName"] or "")
        if card is None or region not in (None, row["Region"]):
            continue
        where = f"{path}:{reader.line_num}"
        gpus = _number(row["AcceleratorCount"], "AcceleratorCount", where)
        for prices, column in ((on_demand, "Price"), (spot, "SpotPrice")):
            price = _number(row[column], column, where)
            # Fractions of a GPU are priced for their share of it.
            if gpus and price:
                prices[card] = min(price / gpus, prices.get(card, math.inf))
    if not on_demand:
        place = f"region {region}" if region else "it"
        raise DataError(f"has no price of a known GPU in {place}", where=str(path))
    return {card: Offer(price, spot.get(card)) for card, price in on_demand.items()}


def with_offer(card: GpuCard, offer: Offer, *, source: str, today: datetime.date) -> GpuCard:
    """The same card at the prices of an offer."""
    price = Price(
        on_demand_per_hour=round(offer.on_demand_per_hour, 4),
        spot_per_hour=None if offer.spot_per_hour is None else round(offer.spot_per_hour, 4),
        read_on=today,
        source=source,
        spot_source=None if offer.spot_per_hour is None else source,
    )
    return card.model_copy(update={"price": price})


def _number(text: str | None, column: str, where: str) -> float | None:
    """A positive number, or None for an empty cell."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise DataError(f"{column} should be a number of at least 0 (it is {text!r})", where=where)
    return value
