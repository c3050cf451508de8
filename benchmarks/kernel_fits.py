"""Robust fits of step-time coefficients on measured kernels, one function a source.

Used by `fit_step_coefficients`. Each fit is least squares on the logarithm of the time, so that
small and large kernels count alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from boute.performance.build import allreduce_latency_us
from boute.profiles.catalog import load_gpu
from boute.profiles.gpu import GpuCard

Array = NDArray[np.float64]
Figures = dict[str, float]


@dataclass(frozen=True)
class Fit:
    """What was fitted for one GPU type, the share of its links by group size, and the source."""

    figures: Figures
    links: dict[int, float]
    source: str


AICONFIGURATOR = {
    "a100-80gb": ("a100_sxm", "0.14.0", "2.27.3"),
    "h100-sxm": ("h100_sxm", "0.24.0", "2.29.2"),
    "h200": ("h200_sxm", "0.14.0", "2.29.2"),
    "l40s": ("l40s", "0.14.0", "2.27.3"),
    "rtx-pro-6000": ("rtx_pro_6000_server", "0.19.0", None),
}
# The fp8 kernels of vLLM 0.14 were half as fast as today's on H100; the H200 has its tensor cores.
FP8_FROM = {"h200": ("h100_sxm", "0.24.0")}
HELIX = {"a100-40gb": "a100", "l4": "l4", "t4": "t4", "v100-32gb": "v100"}
LLAMA2_LAYER = 855_638_016.0  # parameters of one layer of Llama-2-70B
LLAMA2_HIDDEN = 8192.0
ELEMENTWISE_US = 12.0  # two norms, rotary, cache write and gated product, of LLMServingSim


def fit(
    predict: Callable[[Array], Array], seconds: Array, start: list[float], upper: list[float]
) -> Array:
    """Parameters that bring `predict` closest to `seconds` on a logarithmic scale."""
    result = least_squares(
        lambda x: np.log(predict(x) / seconds),
        start,
        loss="soft_l1",
        f_scale=0.1,
        bounds=([1e-3] * len(start), upper),
    )
    return np.asarray(result.x)


def roofline(arithmetic_s: Array, reading_s: Array) -> Array:
    """The 4-norm that boute.performance.step uses."""
    return np.asarray((arithmetic_s**4 + reading_s**4) ** 0.25)


def fit_gemm(frame: pd.DataFrame, gpu: GpuCard, rate: float, weight_bytes: float) -> Array:
    """Efficiency, memory efficiency and microseconds of launch; columns m, n, k, latency in ms."""
    m, n, k = (frame[key].to_numpy(float) for key in ("m", "n", "k"))
    bandwidth = gpu.bandwidth_gb_s * 1e9
    flops_s, bytes_s = 2 * m * n * k / rate, weight_bytes * n * k / bandwidth
    moved_s = 2.0 * m * (n + k) / bandwidth
    return fit(
        lambda x: roofline(flops_s / x[0], bytes_s / x[1]) + moved_s / x[1] + x[2] * 1e-6,
        frame["latency"].to_numpy(float) * 1e-3,
        [0.7, 0.8, 3.0],
        [1.2, 1.0, 20.0],
    )


def fit_aiconfigurator(name: str, data: Path) -> Fit:
    folder, version, nccl = AICONFIGURATOR[name]
    gpu = load_gpu(name, Path())
    root = data / "aiconfigurator/data" / folder
    gemm = real_layers(pd.read_parquet(root / f"gemm/vllm/{version}/gemm_perf.parquet"))
    bf16 = fit_gemm(gemm[gemm.gemm_dtype == "bfloat16"], gpu, gpu.bf16_tflops * 1e12, 2.0)
    figures = {"gemm": bf16[0], "memory": bf16[1]}
    other, newer = FP8_FROM.get(name, (folder, version))
    fp8_path = data / f"aiconfigurator/data/{other}/gemm/vllm/{newer}/gemm_perf.parquet"
    fp8 = real_layers(pd.read_parquet(fp8_path))
    fp8 = fp8[fp8.gemm_dtype == "fp8"]
    if len(fp8) and gpu.fp8_tflops:
        figures["fp8_gemm"] = fit_gemm(fp8, gpu, gpu.fp8_tflops * 1e12, 1.0)[0]
    attention = root / f"attention/vllm/{version}"
    figures["attention"] = fit_prefill(
        pd.read_parquet(attention / "context_attention_perf.parquet"), gpu
    )
    figures["kv"], decode_us = fit_decode(
        pd.read_parquet(attention / "generation_attention_perf.parquet"), gpu
    )
    figures["layer_us"] = 4 * bf16[2] + decode_us + ELEMENTWISE_US
    links = {}
    if nccl is not None:
        links = fit_links(
            pd.read_parquet(root / f"comm/nccl/{nccl}/nccl_perf.parquet"),
            pd.concat(
                pd.read_parquet(path)
                for path in root.glob("comm/vllm/*/custom_allreduce_perf.parquet")
            ),
            gpu,
        )
    return Fit(figures, links, f"AIConfigurator 095f58a, {folder}, vLLM {version} kernels")


def real_layers(gemm: pd.DataFrame) -> pd.DataFrame:
    """Shapes of real layers: a tiny matrix runs out of tiles, which the layer's launch covers."""
    return gemm[(gemm.n >= 1024) & (gemm.k >= 1024) & (gemm.n <= 65536) & (gemm.n * gemm.k >= 4e6)]


def _common(frame: pd.DataFrame) -> pd.DataFrame:
    """Attention as the shipped models have it: bf16, head size 128, up to 16 queries a key."""
    full = frame["window_size"] == 0 if "window_size" in frame else True
    return frame[
        (frame.kv_cache_dtype == "bfloat16")
        & (frame.attn_dtype == "bfloat16")
        & (frame.head_dim == 128)
        & (frame.num_heads >= 4)
        & (frame.num_heads <= 16 * frame.num_key_value_heads)
        & full
    ]


def fit_prefill(frame: pd.DataFrame, gpu: GpuCard) -> float:
    """Share of the bf16 rate in causal attention over a prompt."""
    rows = _common(frame)
    rows = rows[(rows.isl >= 256) & (rows.step == 0)]
    size = (rows.batch_size * rows.num_heads * 128).to_numpy(float)
    length = rows.isl.to_numpy(float)
    pairs_s = 4 * size * length**2 / 2 / (gpu.bf16_tflops * 1e12)
    moved_s = 2 * size * length / (gpu.bandwidth_gb_s * 1e9)
    x = fit(
        lambda x: pairs_s / x[0] + moved_s * x[1] + x[2] * 1e-6,
        rows.latency.to_numpy(float) * 1e-3,
        [0.5, 4.0, 8.0],
        [1.2, 20.0, 60.0],
    )
    return float(x[0])


def fit_decode(frame: pd.DataFrame, gpu: GpuCard) -> tuple[float, float]:
    """Share of the bandwidth at which decodes read the cache, and microseconds of launch."""
    rows = _common(frame)
    context = (rows.isl + rows.step).to_numpy(float)
    rows = rows[(context <= 32_768) & (rows.num_key_value_heads <= 8)]
    context = (rows.isl + rows.step).to_numpy(float)
    batch = rows.batch_size.to_numpy(float)
    read_s = 4 * batch * rows.num_key_value_heads.to_numpy(float) * 128 * context
    read_s = read_s / (gpu.bandwidth_gb_s * 1e9)
    x = fit(
        lambda x: read_s / x[0] + x[1] * 1e-6 + x[2] * 1e-6 * batch,
        rows.latency.to_numpy(float) * 1e-3,
        [0.7, 10.0, 0.05],
        [1.2, 60.0, 5.0],
    )
    return float(x[0]), float(x[1])


def fit_links(nccl: pd.DataFrame, custom: pd.DataFrame, gpu: GpuCard) -> dict[int, float]:
    """Share of the link that an all-reduce gets, by the size of the group.

    vLLM takes its own kernel up to 8 MB where every GPU reaches every other at full rate, or where
    there are only two, and NCCL otherwise. Small messages are left to the latency.
    """
    nccl = nccl[(nccl.op_name == "all_reduce") & (nccl.nccl_dtype == "half")]
    custom = custom[custom.backend == "vllm_graph"]
    links = {}
    for group in (2, 4, 8):
        own = gpu.interconnect.topology == "nvswitch" or group == 2
        small = custom[(custom.num_gpus == group) & (custom.message_size <= 2**22)]
        large = nccl[(nccl.num_gpus == group) & (nccl.message_size > (2**22 if own else 0))]
        rows = pd.concat([small, large]) if own else large
        rows = rows[(rows.message_size >= 2**18) & (rows.message_size <= 2**28)]
        rate = gpu.interconnect.group_bandwidth_gb_s(group) * 1e9
        moved_s = 2 * (group - 1) / group * 2.0 * rows.message_size.to_numpy(float) / rate
        latency_s = allreduce_latency_us(gpu, group) * 1e-6
        spent_s = rows.latency.to_numpy(float) * 1e-3 - latency_s
        links[group] = float(np.median(moved_s / np.maximum(spent_s, 1e-6)))
    return links


def fit_llmservingsim(name: str, data: Path) -> Fit:
    """Layers of Llama-3.1-8B: matrices by tokens, attention by chunk and cache."""
    gpu = load_gpu(name, Path())
    root = data / "llmservingsim/profiler/RTX4090/meta-llama/Llama-3.1-8B/bf16/tp1"
    dense = pd.read_csv(root / "dense.csv.gz")
    shapes = {"qkv_proj": (6144, 4096), "o_proj": (4096, 4096), "gate_up_proj": (28672, 4096)}
    shapes["down_proj"] = (4096, 14336)
    rows = dense[dense.layer.isin(shapes)]
    sizes = np.array([shapes[layer] for layer in rows.layer])
    frame = pd.DataFrame(
        {"m": rows.tokens, "n": sizes[:, 0], "k": sizes[:, 1], "latency": rows.time_us / 1e3}
    )
    gemm = fit_gemm(frame, gpu, gpu.bf16_tflops * 1e12, 2.0)
    attention = pd.read_csv(root / "attention.csv.gz")
    decodes = attention[(attention.prefill_chunk == 0) & (attention.n_decode > 0)]
    read_s = 4 * 8 * 128 * (decodes.n_decode * decodes.kv_decode).to_numpy(float)
    read_s = read_s / (gpu.bandwidth_gb_s * 1e9)
    kv = fit(
        lambda x: read_s / x[0] + x[1] * 1e-6,
        decodes.time_us.to_numpy(float) * 1e-6,
        [0.8, 10.0],
        [1.0, 60.0],
    )
    chunks = attention[(attention.prefill_chunk >= 256) & (attention.n_decode == 0)]
    chunk = chunks.prefill_chunk.to_numpy(float)
    pairs = chunk * (chunks.kv_prefill.to_numpy(float) + chunk / 2)
    pairs_s = 4 * 32 * 128 * pairs / (gpu.bf16_tflops * 1e12)
    prefill = fit(
        lambda x: pairs_s / x[0] + x[1] * 1e-6,
        chunks.time_us.to_numpy(float) * 1e-6,
        [0.5, 10.0],
        [1.2, 100.0],
    )
    figures = {"gemm": gemm[0], "memory": gemm[1], "kv": kv[0], "attention": prefill[0]}
    figures["layer_us"] = 4 * gemm[2] + kv[1] + ELEMENTWISE_US
    return Fit(figures, {}, "LLMServingSim 5daddb2, profiler RTX4090, Llama-3.1-8B bf16")


def fit_vidur(name: str, data: Path) -> Fit:
    """Linear layers of Llama-2-7B and 70B over tensor-parallel degrees."""
    gpu = load_gpu(name, Path())
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
    rows = pd.concat(parts)
    rows = rows[(rows.m > 0) & (rows.latency > 0)]
    x = fit_gemm(rows, gpu, gpu.bf16_tflops * 1e12, 2.0)
    figures = {"gemm": float(x[0]), "memory": float(x[1])}
    return Fit(figures, {}, "Vidur 7d47513, compute/a40, Llama-2-7B and 70B")


def fit_helix(name: str, data: Path) -> Fit:
    """Milliseconds per layer of Llama-2-70B: batches of decodes read weights, prompts compute.

    The files round to 0.1 or 1 ms and do not say how long the prompts were, so that attention is
    inside the efficiencies.
    """
    gpu = load_gpu(name, Path())
    root = data / "helix/llama2_70b" / HELIX[name]
    both = [
        pd.read_csv(root / f"{kind}_bs2time.csv", names=["tokens", "ms"])
        for kind in ("decode", "prompt")
    ]
    decode, prompt = both[0][(both[0].tokens > 0) & (both[0].tokens <= 16)], both[1][1:]
    rows = pd.concat([decode, prompt])
    tokens = rows.tokens.to_numpy(float)
    flops_s = 2 * LLAMA2_LAYER * tokens / (gpu.bf16_tflops * 1e12)
    bytes_s = 2 * LLAMA2_LAYER / (gpu.bandwidth_gb_s * 1e9) * np.ones_like(tokens)
    x = fit(
        lambda x: roofline(flops_s / x[0], bytes_s / x[1]),
        rows.ms.to_numpy(float) * 1e-3,
        [0.5, 0.8],
        [1.2, 1.0],
    )
    links = {
        group: helix_link(gpu, group, prompt, data / f"helix/llama2_70b/{HELIX[name]}x{group}")
        for group in (2, 4)
        if (data / f"helix/llama2_70b/{HELIX[name]}x{group}").exists()
    }
    figures = {"gemm": float(x[0]), "memory": float(x[1])}
    return Fit(figures, links, f"Helix 148b733, llama2_70b/{HELIX[name]}")


def helix_link(gpu: GpuCard, group: int, alone: pd.DataFrame, folder: Path) -> float:
    """Share of the link, from how far prompts on `group` GPUs fall short of the even share."""
    shared = pd.read_csv(folder / "prompt_bs2time.csv", names=["tokens", "ms"])
    both = alone.merge(shared, on="tokens", suffixes=("", "_shared"))
    both = both[both.tokens >= 1000]
    spent_s = (both.ms_shared - both.ms / group).to_numpy(float) * 1e-3
    moved_bytes = 2 * 2 * (group - 1) / group * 2.0 * LLAMA2_HIDDEN * both.tokens.to_numpy(float)
    rate = gpu.interconnect.group_bandwidth_gb_s(group) * 1e9
    return float(np.median(moved_bytes / rate / spent_s))
