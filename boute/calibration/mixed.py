"""What attention takes more in a step that computes prompts and decodes together.

FlashAttention 2, which vLLM uses on NVIDIA GPUs but for the data-centre ones from Hopper on, has a
form for decodes alone that handles the queries of one key head together. With a prompt in the batch
it is not taken: every query of a decode fills a tile of its own, most rows of which are empty, and
the kernel's grid has more empty tiles for every decode over the length of the prompt. Layers that
LLMServingSim measured in both compositions, of two models and two parallelisms, agree on how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from boute.calibration.fitting import Array, column, residual
from boute.calibration.runs import LLMSERVINGSIM
from boute.performance.coefficients import Residual
from boute.profiles.gpu import GpuCard

__all__ = ["FLASH_ATTENTION_2", "fit_mixed"]

# vLLM takes version 3 on Hopper, other backends on later data-centre GPUs, on Turing and on Volta.
FLASH_ATTENTION_2: Final = frozenset(
    ("a100-40gb", "a100-80gb", "a10g", "a40", "l4", "l40s", "rtx-4090", "rtx-pro-6000")
)
QUERY_HEADS: Final = {"meta-llama/Llama-3.1-8B": 32, "Qwen/Qwen3-32B": 64}
HEAD_SIZE: Final = 128
# What a serving engine meets: contexts of some thousand tokens, some hundred thousand in all. With
# fewer decodes attention is a small part of a step, and what it takes more is lost in it.
LONGEST: Final = 4096
MOST_CACHED: Final = 260_000
FEWEST_DECODES: Final = 16


def fit_mixed(gpu: GpuCard, attention: float, data: Path) -> tuple[dict[str, float], Residual]:
    """`mixed_rows` and `mixed_tile_ps` of a GPU type, and how well mixed steps are met with them.

    `attention` is the share of the tensor rate in prefill. Raise OSError where no layers of the GPU
    type are there.
    """
    name = next((folder for folder, card in LLMSERVINGSIM.items() if card == gpu.name), gpu.name)
    folder = data / "llmservingsim/profiler" / name
    found = list(_layers(folder))
    if not found:
        raise FileNotFoundError(folder)
    cached, prompts, apart_us, took_us = (
        np.concatenate(values) for values in zip(*found, strict=True)
    )
    row_us = 4.0 * HEAD_SIZE * 1e6 / (gpu.bf16_tflops * 1e12 * attention)
    terms = np.stack([cached * row_us, prompts * 1e-6])
    fitted, *_ = np.linalg.lstsq((terms / took_us).T, (took_us - apart_us) / took_us, rcond=None)
    source = f"LLMServingSim 5daddb2, profiler {folder.name}, bf16"
    figures = {"mixed_rows": float(fitted[0]), "mixed_tile_ps": float(fitted[1])}
    return figures, residual(apart_us + fitted @ terms, took_us, source)


def _layers(folder: Path) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Of each model and parallelism, what `_mixed` gives."""
    for path in sorted(folder.glob("*/*/bf16/tp*/attention.csv.gz")):
        model = "/".join(path.parts[-5:-3])
        yield _mixed(pd.read_csv(path), QUERY_HEADS[model] / int(path.parts[-2][2:]))


def _mixed(frame: pd.DataFrame, heads: float) -> tuple[Array, Array, Array, Array]:
    """Steps of both kinds [n]: cached tokens, and decodes x tokens of the prompt, times heads.

    Then microseconds: of both attentions apart, without reading the cache, and of the step's.
    """
    in_all = frame.n_decode * frame.kv_decode
    frame = frame[(frame.kv_decode <= LONGEST) & (in_all <= MOST_CACHED) & (frame.kv_prefill == 0)]
    alone = frame[frame.n_decode == 0][["prefill_chunk", "time_us"]]
    own = frame[frame.prefill_chunk == 0][["n_decode", "kv_decode", "time_us"]]
    mixed = frame[(frame.prefill_chunk > 0) & (frame.n_decode >= FEWEST_DECODES)]
    mixed = mixed.merge(alone, on="prefill_chunk", suffixes=("", "_alone"))
    mixed = mixed.merge(own, on=["n_decode", "kv_decode"], suffixes=("", "_own"))
    decodes = column(mixed, "n_decode")
    cached = decodes * column(mixed, "kv_decode")
    spent = column(own, "time_us")
    reading = np.stack([np.ones(len(own)), column(own, "n_decode") * column(own, "kv_decode")])
    read_us = np.linalg.lstsq((reading / spent).T, np.ones(len(own)), rcond=None)[0][1]
    apart_us = column(mixed, "time_us_alone") + column(mixed, "time_us_own") - read_us * cached
    prompts = decodes * column(mixed, "prefill_chunk") * heads
    return cached * heads, prompts, apart_us, column(mixed, "time_us")
