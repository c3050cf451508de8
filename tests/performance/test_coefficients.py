from __future__ import annotations

from pathlib import Path

import pytest

from boute.performance.coefficients import load_coefficients
from boute.profiles.catalog import gpu_names, load_gpu

DATA = Path(__file__).parents[3] / "shared/data/aiconfigurator"


@pytest.mark.parametrize("name", gpu_names())
def test_every_gpu_has_coefficients_and_a_stated_error(name):
    found = load_coefficients(name)
    assert 0 < found.tpot_error < 1
    assert 0 < found.ttft_error < 1
    assert found.source
    assert found.error_source
    assert set(found.links) >= {2}
    assert found.link_efficiency(16) == found.links[max(found.links)]


def test_an_unknown_gpu_takes_the_medians_with_the_wider_error():
    unknown = load_coefficients("my-own-card")
    assert unknown.source.startswith("median")
    assert unknown.tpot_error >= load_coefficients("h100-sxm").tpot_error
    over_pcie = load_coefficients("my-own-card", pcie=True)
    assert over_pcie.links[8] < unknown.links[8]
    assert over_pcie.gemm == unknown.gemm


@pytest.mark.skipif(not DATA.exists(), reason="measured kernels are not here")
def test_the_shipped_figures_are_those_of_the_fit():
    import importlib

    fit = importlib.import_module("benchmarks.fit_step_coefficients")
    found = fit.fit_aiconfigurator("l40s", DATA.parent)
    shipped = load_coefficients("l40s")
    assert shipped.gemm == pytest.approx(found.figures["gemm"], rel=0.01)
    assert shipped.memory == pytest.approx(found.figures["memory"], rel=0.01)
    assert shipped.links[2] == pytest.approx(found.links[2], rel=0.01)


def test_links_are_stated_for_the_cards_topology():
    assert load_gpu("l40s", Path()).interconnect.topology == "pcie"
    assert load_coefficients("l40s").links[4] < load_coefficients("l40s").links[2]
