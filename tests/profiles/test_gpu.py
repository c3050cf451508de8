"""Every shipped GPU card: complete, sourced, and in agreement with other collections."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.profiles.catalog import gpu_names, load_gpu
from boute.profiles.gpu import GpuCard, Interconnect

SPECS = Path(__file__).parents[2].parent / "shared/data/aiconfigurator/gpu_specs.json"
NAMES = [
    *("t4", "l4", "a10g", "a40", "l40s", "rtx-4090", "rtx-pro-6000", "v100-32gb"),
    *("a100-40gb", "a100-80gb", "h100-pcie", "h100-sxm", "h200", "b200", "mi300x"),
]


@pytest.fixture(params=NAMES)
def card(request: pytest.FixtureRequest) -> GpuCard:
    return load_gpu(request.param, Path())


def numbers(data: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{above}{key}.")
        elif isinstance(value, int | float):
            yield f"{above}{key}"


def test_the_promised_cards_are_shipped() -> None:
    assert set(NAMES) == set(gpu_names())


def test_every_figure_has_a_source_and_every_source_a_figure(card: GpuCard) -> None:
    data = card.model_dump(exclude_none=True, exclude={"sources", "price", "cores"})
    assert set(numbers(data)) == set(card.sources)
    assert all(len(text) > 8 for text in card.sources.values())


def test_only_cpus_come_in_parts(card: GpuCard) -> None:
    data = card.model_dump()
    with pytest.raises(ValueError, match="cores are for cards of vendor cpu"):
        GpuCard.model_validate(data | {"cores": 0.5})
    assert GpuCard.model_validate(data | {"vendor": "cpu", "cores": 0.5}).cores == 0.5


def test_prices_are_dated_and_sourced(card: GpuCard) -> None:
    price = card.price
    assert price.source
    assert price.read_on.year >= 2026
    assert (price.spot_per_hour is None) == (price.spot_source is None)
    assert price.spot_per_hour is None or price.spot_per_hour < price.on_demand_per_hour


def test_figures_are_of_a_possible_gpu(card: GpuCard) -> None:
    assert card.idle_w < card.peak_w / 4
    assert card.fp8_tflops is None or card.fp8_tflops == pytest.approx(2 * card.bf16_tflops, 0.02)
    # A byte of memory traffic buys 50 to 600 dense operations on every GPU of these generations.
    assert 50 < card.bf16_tflops * 1e3 / card.bandwidth_gb_s < 600


def test_ray_knows_the_accelerator_type(card: GpuCard) -> None:
    # Read rather than imported: profiles do not depend on Ray.
    found = importlib.util.find_spec("ray")
    assert found is not None
    assert found.submodule_search_locations is not None
    file = Path(found.submodule_search_locations[0]) / "util/accelerators/accelerators.py"
    known = set(re.findall(r'^\w+ = "(.+)"$', file.read_text("utf-8"), flags=re.MULTILINE))
    assert card.ray_accelerator_type is None or card.ray_accelerator_type in known


@pytest.mark.parametrize(
    ("name", "theirs", "tolerance"),
    [
        ("l4", "l4", 0.07),  # they give 24 GiB for 24 GB less the driver's share
        ("l40s", "l40s", 0.01),
        ("rtx-pro-6000", "rtx_pro_6000_server", 0.12),  # they use the workstation's bandwidth
        ("a100-80gb", "a100_sxm", 0.01),
        ("h100-pcie", "h100_pcie", 0.02),
        ("h100-sxm", "h100_sxm", 0.01),
        ("h200", "h200_sxm", 0.01),
        ("b200", "b200_sxm", 0.01),
    ],
)
def test_agrees_with_aiconfigurator(name: str, theirs: str, tolerance: float) -> None:
    if not SPECS.exists():
        pytest.skip("the shared data is not here")
    other = json.loads(SPECS.read_text("utf-8"))[theirs]
    card, gpu = load_gpu(name, Path()), other["gpu"]
    close = {"rel": tolerance}
    assert card.memory_gib == pytest.approx(gpu["mem_capacity"] / 2**30, **close)
    assert card.bandwidth_gb_s == pytest.approx(gpu["mem_bw"] / 1e9, **close)
    assert card.bf16_tflops == pytest.approx(gpu["bfloat16_tc_flops"] / 1e12, **close)
    if "fp8_tc_flops" in gpu and card.fp8_tflops is not None:
        assert card.fp8_tflops == pytest.approx(gpu["fp8_tc_flops"] / 1e12, **close)
    assert card.peak_w == gpu["power"]
    assert card.node_gpus == other["node"]["num_gpus_per_node"]
    if card.interconnect.topology == "nvswitch":
        assert card.interconnect.bandwidth_gb_s == other["node"]["intra_node_bw"] / 1e9


def test_pairs_fall_back_to_the_slower_link() -> None:
    pairs = load_gpu("h100-pcie", Path()).interconnect
    assert pairs.group_bandwidth_gb_s(2) == 300
    assert pairs.group_bandwidth_gb_s(4) == pairs.beyond_pair_gb_s == 63


def test_links_one_to_one_add_up() -> None:
    fabric = load_gpu("mi300x", Path()).interconnect
    assert [fabric.group_bandwidth_gb_s(gpus) for gpus in (2, 4, 8)] == [64, 192, 448]


@given(bandwidth=st.floats(1, 1000), peer=st.none() | st.floats(1, 1000), gpus=st.integers(1, 16))
def test_a_group_never_gets_more_than_the_gpu_sends(
    bandwidth: float, peer: float | None, gpus: int
) -> None:
    link = Interconnect(
        topology="nvlink-mesh", bandwidth_gb_s=bandwidth, latency_us=1, peer_gb_s=peer
    )
    assert 0 < link.group_bandwidth_gb_s(gpus) <= bandwidth
    assert link.group_bandwidth_gb_s(gpus) <= link.group_bandwidth_gb_s(gpus + 1) or gpus == 1
