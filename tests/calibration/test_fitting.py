"""Fits find what made up the times that they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boute.calibration.aiconfigurator import TABLES, fit_aiconfigurator
from boute.calibration.fitting import fit, fit_matrices
from boute.calibration.table import fit_all, fit_table
from boute.performance.coefficients import load_coefficients, load_table
from boute.profiles.catalog import load_gpu

DATA = Path(__file__).parents[3] / "shared/data"


@pytest.mark.parametrize("fp8", [False, True])
def test_matrices_give_back_their_coefficients(fp8):
    gpu, random = load_gpu("h100-sxm", Path()), np.random.default_rng(0)
    m = np.exp2(random.integers(0, 14, 800)).astype(float)
    n, k = (random.integers(8, 128, 800) * 128.0 for _ in range(2))
    rate = (gpu.fp8_tflops if fp8 else gpu.bf16_tflops) * 1e12 * 0.7
    bandwidth = gpu.bandwidth_gb_s * 1e9
    arithmetic_s = 2 * m * n * k / rate
    reading_s = (1 if fp8 else 2) * n * k / (bandwidth * 0.8)
    moved_s = m * ((4 if fp8 else 2) * k + 2 * n) / (bandwidth * 0.6)
    seconds = (arithmetic_s**4 + reading_s**4) ** 0.25 + moved_s + 5e-6
    seconds *= np.exp(0.02 * random.standard_normal(800))
    frame = pd.DataFrame({"m": m, "n": n, "k": k, "latency": seconds * 1e3})
    found, residual = fit_matrices(frame, gpu, fp8=fp8, source="made up")
    assert found.rate == pytest.approx(0.7, rel=0.02)
    assert found.memory == pytest.approx(0.8, rel=0.02)
    assert found.stream == pytest.approx(0.6, rel=0.05)
    assert found.launch_us == pytest.approx(5.0, rel=0.05)
    assert residual.rows == 800
    assert 0 < residual.error < 0.03


def test_an_outlier_does_not_move_a_fit():
    x = np.linspace(1, 100, 50)
    seconds = 2e-3 * x + 1e-2
    seconds[7] *= 20
    found = fit(lambda p: p[0] * 1e-3 * x + p[1] * 1e-2, seconds, [1.0, 1.0], [10.0, 10.0])
    assert found == pytest.approx([2.0, 1.0], rel=0.02)


def test_a_folder_without_kernels_fits_nothing_and_says_what_is_missing(tmp_path):
    fits, missing = fit_all(tmp_path)
    assert fits == {}
    assert any(line.startswith("h100-sxm: ") for line in missing)


@pytest.mark.skipif(not DATA.exists(), reason="measured kernels are not here")
def test_the_shipped_figures_are_those_of_the_fit():
    shipped = load_coefficients("l40s")
    found = fit_aiconfigurator(load_gpu("l40s", Path()), TABLES["l40s"], DATA)
    assert shipped.bf16.rate == pytest.approx(found.bf16.rate, rel=0.01)
    assert shipped.kv == pytest.approx(found.figures["kv"], rel=0.01)
    assert shipped.links[2][0].share == pytest.approx(found.links[2][0].share, rel=0.01)
    assert shipped.residuals["kv"] == found.residuals["kv"]


@pytest.mark.skipif(not DATA.exists(), reason="measured kernels are not here")
def test_what_one_type_lacks_is_the_median_of_the_others():
    fits, missing = fit_all(DATA)
    assert missing == []
    few = {name: fits[name] for name in ("h100-sxm", "l40s", "a100-80gb", "l4")}
    table = fit_table(few, load_table())
    assert set(table.gpus) >= set(load_table().gpus)
    assert table.gpus["l4"].kv == table.default.kv
    assert table.gpus["rtx-4090"].bf16 == table.default.bf16
    assert table.gpus["rtx-4090"].residuals == {}
    rates = sorted(fits[name].bf16.rate for name in ("h100-sxm", "l40s", "a100-80gb"))
    assert table.default.bf16.rate == pytest.approx(rates[1])
    assert table.gpus["l40s"].tpot_error == load_table().gpus["l40s"].tpot_error
