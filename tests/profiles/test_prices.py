"""Prices of SkyPilot catalogs: the lowest for one GPU, and bad files refused."""

import datetime
from pathlib import Path

import pytest

from boute.errors import DataError
from boute.profiles.catalog import load_gpu
from boute.profiles.prices import Offer, read_prices, with_offer

HEADER = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,Price,SpotPrice,Region\n"
ROWS = (
    "g6.xlarge,L4,1.0,4,0.8,0.4,us-east-1\n"
    "g6.12xlarge,L4,4.0,48,4.6,1.2,us-east-1\n"
    "g6.xlarge,L4,1.0,4,0.7,,eu-north-1\n"
    "g6f.2xlarge,L4,0.25,8,0.3,,us-east-1\n"
    "c7.large,,,2,0.1,0.05,us-east-1\n"
    "p5.48xlarge,H100,8.0,192,55.04,,us-east-1\n"
    "x.large,Unknown-GPU,1.0,4,0.01,,us-east-1\n"
)


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "vms.csv"
    path.write_text(HEADER + ROWS, "utf-8")
    return path


def test_the_lowest_price_of_one_gpu(catalog: Path) -> None:
    offers = read_prices(catalog)
    assert offers["l4"] == Offer(0.7, pytest.approx(0.3))
    assert offers["h100-sxm"] == Offer(pytest.approx(6.88), None)
    assert set(offers) == {"l4", "h100-sxm"}


def test_one_region(catalog: Path) -> None:
    assert read_prices(catalog, region="us-east-1")["l4"].on_demand_per_hour == 0.8
    with pytest.raises(DataError, match="region mars"):
        read_prices(catalog, region="mars")


def test_a_card_at_the_new_price(catalog: Path) -> None:
    card = load_gpu("l4", Path())
    day = datetime.date(2030, 1, 2)
    new = with_offer(card, read_prices(catalog)["l4"], source="aws vms.csv", today=day)
    assert new.price.on_demand_per_hour == 0.7
    assert (new.price.read_on, new.price.spot_source) == (day, "aws vms.csv")
    assert new.model_copy(update={"price": card.price}) == card


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column AcceleratorName"),
        ("a,b\n1,2\n", "has no column AcceleratorName"),
        (HEADER, "has no price of a known GPU"),
        (HEADER + "g,L4,1,4,cheap,,us\n", "vms.csv:2: Price should be a number"),
        (HEADER + "g,L4,-1,4,1,,us\n", "AcceleratorCount should be a number"),
        (HEADER + "g,L4,1,4,nan,,us\n", "Price should be a number"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "vms.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=message):
        read_prices(path)
