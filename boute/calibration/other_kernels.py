"""Fits on the kernels of Vidur, Helix and LLMServingSim, for GPU types that nobody else measured.

Vidur: linear layers of Llama-2 on the A40. Helix: milliseconds of a layer of Llama-2-70B, prompts
and decodes, alone and shared by several GPUs. LLMServingSim: layers of Llama-3.1-8B on the RTX
4090. Each is kept in a folder of its name under a data folder, in the layout of its repository.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from boute.calibration.aiconfigurator import SMALL_KERNELS_US
from boute.calibration.fitting import Array, Fit, column, fit, fit_matrices, residual, shortened
from boute.performance.coefficients import LinkPiece, MatrixCoefficients, Residual
from boute.profiles.gpu import GpuCard

__all__ = ["HELIX", "fit_helix", "fit_llmservingsim", "fit_vidur"]

HELIX = {"a100-40gb": "a100", "l4": "l4", "t4": "t4", "v100-32gb": "v100"}
LLAMA2_LAYER = 855_638_016.0  # parameters of one layer of Llama-2-70B
LLAMA2_HIDDEN = 8192.0


def fit_llmservingsim(gpu: GpuCard, data: Path) -> Fit:
    """Layers of Llama-3.1-8B on the RTX 4090: matrices by tokens, attention by chunk and cache."""
    source = "LLMServingSim 5daddb2, profiler RTX4090, Llama-3.1-8B bf16"
    root = data / "llmservingsim/profiler/RTX4090/meta-llama/Llama-3.1-8B/bf16/tp1"
    dense = pd.read_csv(root / "dense.csv.gz")
    shapes = {"qkv_proj": (6144, 4096), "o_proj": (4096, 4096), "gate_up_proj": (28672, 4096)}
    shapes["down_proj"] = (4096, 14336)
    rows = dense[dense.layer.isin(shapes)]
    sizes = np.array([shapes[layer] for layer in rows.layer])
    frame = pd.DataFrame(
        {"m": rows.tokens, "n": sizes[:, 0], "k": sizes[:, 1], "latency": rows.time_us / 1e3}
    )
    residuals: dict[str, Residual] = {}
    bf16, residuals["bf16"] = fit_matrices(frame, gpu, fp8=False, source=source)
    attention = pd.read_csv(root / "attention.csv.gz")
    decodes = attention[(attention.prefill_chunk == 0) & (attention.n_decode > 0)]
    read_s = 4 * 8 * 128 * column(decodes, "n_decode") * column(decodes, "kv_decode")
    read_s = read_s / (gpu.bandwidth_gb_s * 1e9)
    kv, launch_us = _affine(read_s, decodes, 1.0, "kv", residuals, source)
    chunks = attention[(attention.prefill_chunk >= 256) & (attention.n_decode == 0)]
    chunk = column(chunks, "prefill_chunk")
    pairs = chunk * (column(chunks, "kv_prefill") + chunk / 2)
    pairs_s = 4 * 32 * 128 * pairs / (gpu.bf16_tflops * 1e12)
    share, _ = _affine(pairs_s, chunks, 1.2, "attention", residuals, source)
    figures = {"kv": kv, "attention": share, "layer_us": launch_us + SMALL_KERNELS_US}
    return Fit(source, bf16, None, figures, {}, residuals)


def _affine(
    ideal_s: Array,
    rows: pd.DataFrame,
    upper: float,
    name: str,
    residuals: dict[str, Residual],
    source: str,
) -> tuple[float, float]:
    """A share of the ideal and microseconds on top."""
    seconds = column(rows, "time_us") * 1e-6

    def predict(x: Array) -> Array:
        return np.asarray(ideal_s / x[0] + x[1] * 1e-6)

    found = fit(predict, seconds, [0.6, 10.0], [upper, 100.0])
    residuals[name] = residual(predict(found), seconds, source)
    return float(found[0]), float(found[1])


def fit_vidur(gpu: GpuCard, data: Path) -> Fit:
    """Linear layers of Llama-2-7B and 70B over tensor-parallel degrees, on the A40."""
    source = "Vidur 7d47513, compute/a40, Llama-2-7B and 70B"
    parts = []
    for path in sorted((data / "vidur/compute/a40").glob("*/mlp.csv.gz")):
        frame = pd.read_csv(path)
        tp = frame.num_tensor_parallel_workers
        for op, n, k in (
            ("mlp_up_proj", 2 * frame.n_expanded_embd / tp, frame.n_embd),
            ("mlp_down_proj", frame.n_embd, frame.n_expanded_embd / tp),
        ):
            latency = frame[f"time_stats.{op}.median"]
            parts.append(pd.DataFrame({"m": frame.num_tokens, "n": n, "k": k, "latency": latency}))
    if not parts:
        raise FileNotFoundError(data / "vidur/compute/a40")
    rows = pd.concat(parts)
    rows = rows[(rows.m > 0) & (rows.latency > 0)]
    bf16, error = fit_matrices(rows, gpu, fp8=False, source=source)
    return Fit(source, bf16, residuals={"bf16": error})


def fit_helix(gpu: GpuCard, folder: str, data: Path) -> Fit:
    """Milliseconds per layer of Llama-2-70B: batches of decodes read weights, prompts compute.

    The files round to 0.1 or 1 ms and do not say how long the prompts were, so that attention and
    activations are inside the efficiencies.
    """
    source = f"Helix 148b733, llama2_70b/{folder}"
    root = data / "helix/llama2_70b" / folder
    decode, prompt = (
        pd.read_csv(root / f"{kind}_bs2time.csv", names=["tokens", "ms"])
        for kind in ("decode", "prompt")
    )
    rows = pd.concat([decode[(decode.tokens > 0) & (decode.tokens <= 16)], prompt[1:]])
    tokens, seconds = column(rows, "tokens"), column(rows, "ms") * 1e-3
    flops_s = 2 * LLAMA2_LAYER * tokens / (gpu.bf16_tflops * 1e12)
    bytes_s = 2 * LLAMA2_LAYER / (gpu.bandwidth_gb_s * 1e9)

    def predict(x: Array) -> Array:
        return np.asarray(((flops_s / x[0]) ** 4 + (bytes_s / x[1]) ** 4) ** 0.25)

    found = fit(predict, seconds, [0.5, 0.8], [1.2, 1.0])
    bf16 = MatrixCoefficients(
        rate=shortened(found[0]), memory=shortened(found[1]), stream=4.0, launch_us=0.0
    )
    links = {
        group: [LinkPiece(latency_us=gpu.interconnect.latency_us * group / 2, share=share)]
        for group in (2, 4)
        if (shared := data / f"helix/llama2_70b/{folder}x{group}").exists()
        and (share := _helix_link(gpu, group, prompt[1:], shared)) > 0
    }
    return Fit(
        source, bf16, links=links, residuals={"bf16": residual(predict(found), seconds, source)}
    )


def _helix_link(gpu: GpuCard, group: int, alone: pd.DataFrame, folder: Path) -> float:
    """Share of the link, from how far prompts on `group` GPUs fall short of the even share."""
    shared = pd.read_csv(folder / "prompt_bs2time.csv", names=["tokens", "ms"])
    both = alone.merge(shared, on="tokens", suffixes=("", "_shared"))
    both = both[both.tokens >= 1000]
    spent_s = (column(both, "ms_shared") - column(both, "ms") / group) * 1e-3
    moved = 2 * 2 * (group - 1) / group * 2.0 * LLAMA2_HIDDEN * column(both, "tokens")
    rate = gpu.interconnect.group_bandwidth_gb_s(group) * 1e9
    return shortened(float(np.median(moved / rate / spent_s)))
