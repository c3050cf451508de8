from __future__ import annotations

from pathlib import Path

import pytest

from boute.performance.coefficients import StepCoefficients, load_coefficients, load_table
from boute.profiles.catalog import gpu_names, load_gpu


@pytest.mark.parametrize("name", gpu_names())
def test_every_gpu_has_coefficients_and_a_stated_error(name):
    found = load_coefficients(name)
    assert 0 < found.tpot_error < 1
    assert 0 < found.ttft_error < 1
    assert found.source
    assert found.error_source
    assert found.link(16) == found.links[max(found.links)]


def test_an_unknown_gpu_takes_the_medians_with_the_wider_error():
    unknown = load_coefficients("my-own-card")
    assert unknown.source.startswith("median")
    assert unknown.tpot_error >= load_coefficients("h100-sxm").tpot_error
    over_pcie = load_coefficients("my-own-card", pcie=True)
    assert over_pcie.links[8][-1].share < unknown.links[8][-1].share
    assert over_pcie.bf16 == unknown.bf16


def test_every_fit_states_its_rows_residual_and_source():
    for record in load_table().gpus.values():
        for one in record.residuals.values():
            assert one.rows > 10
            assert 0 < one.error < 0.25
            assert one.source


def test_links_are_stated_for_the_cards_topology():
    assert load_gpu("l40s", Path()).interconnect.topology == "pcie"
    links = load_coefficients("l40s").links
    assert links[8][-1].share < links[4][-1].share < links[2][-1].share


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [{"up_to_mib": 8, "latency_us": 4, "share": 0.5}],
        [{"latency_us": 4, "share": 0.5}, {"latency_us": 5, "share": 0.5}],
    ],
)
def test_pieces_of_an_all_reduce_cover_every_size_once(pieces):
    record = load_coefficients("h100-sxm").model_dump()
    with pytest.raises(ValueError, match="one to three pieces"):
        StepCoefficients(**{**record, "links": {2: pieces}})
