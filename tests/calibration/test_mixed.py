from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from boute.calibration.mixed import fit_mixed
from boute.profiles.catalog import load_gpu

DATA = Path(__file__).parents[2].parent / "shared/data"
GPU = load_gpu("rtx-4090", Path())
ATTENTION = 0.7


def write_layers(data: Path, *, rows: float, tile_ps: float) -> None:
    """Attention of a Llama-3.1-8B layer by the very formula, in the layout of LLMServingSim."""
    folder = data / "llmservingsim/profiler/RTX4090/meta-llama/Llama-3.1-8B/bf16/tp1"
    folder.mkdir(parents=True)
    row_us = 4 * 128 * 32 * 1e6 / (GPU.bf16_tflops * 1e12 * ATTENTION)
    lines = ["prefill_chunk,kv_prefill,n_decode,kv_decode,time_us"]
    for chunk in (0, 64, 512, 2048):
        alone = 8.0 + 0.04 * chunk if chunk else 0.0
        lines += [f"{chunk},0,0,0,{alone}"] if chunk else []
        for decodes in (1, 16, 64, 128):
            for cached in (128, 512, 2048):
                read = 0.004 * decodes * cached
                if chunk == 0:
                    took = 10.0 + read
                else:
                    took = alone + 10.0 + rows * row_us * decodes * cached
                    took += tile_ps * 1e-6 * 32 * decodes * chunk
                lines.append(f"{chunk},0,{decodes},{cached},{took}")
    with gzip.open(folder / "attention.csv.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")


def test_the_fit_finds_what_the_layers_were_made_of(tmp_path: Path) -> None:
    write_layers(tmp_path, rows=64.0, tile_ps=40.0)
    figures, error = fit_mixed(GPU, ATTENTION, tmp_path)
    assert figures["mixed_rows"] == pytest.approx(64.0, rel=1e-6)
    assert figures["mixed_tile_ps"] == pytest.approx(40.0, rel=1e-6)
    assert error.error == pytest.approx(0.0, abs=1e-6)
    assert error.rows == 24  # three lengths of prompts, no more than 260,000 cached tokens


def test_a_gpu_without_layers_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fit_mixed(load_gpu("l40s", Path()), ATTENTION, tmp_path)


@pytest.mark.skipif(not (DATA / "llmservingsim/profiler").is_dir(), reason="the data is not here")
def test_measured_layers_agree_on_a_tile_of_64_rows() -> None:
    """Whatever the GPU, the model and the parallelism: a tile has 64 rows, less well used."""
    for gpu in ("rtx-4090", "rtx-pro-6000"):
        figures, error = fit_mixed(load_gpu(gpu, Path()), 0.67, DATA)
        assert 55 < figures["mixed_rows"] < 90
        assert error.error < 0.2
