"""Fits on AIConfigurator's measured kernels: matrices, attention and all-reduce, by GPU type.

Reads the Parquet tables of github.com/ai-dynamo/aiconfigurator, Apache-2.0, kept as
`aiconfigurator/data/<system>/...` under a data folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from boute.calibration.fitting import Array, Fit, column, fit, fit_matrices, residual, shortened
from boute.performance.coefficients import LinkPiece, Residual
from boute.profiles.catalog import load_gpu
from boute.profiles.gpu import GpuCard

__all__ = ["TABLES", "Tables", "fit_aiconfigurator"]

MIB = 2.0**20
# Two norms that add to the residual, rotary, the write into the cache and the gated product, at
# 2.4 us each with one token (LLMServingSim 5daddb2, profiler RTXPRO6000 and RTX4090).
SMALL_KERNELS_US = 5 * 2.4
# A small cache that is read over and over stays in the L2 of a GPU, which it does not in a model.
BEYOND_L2_BYTES = 256e6
# Bounds between vLLM's own all-reduce kernels where every GPU reaches every other at full rate, by
# the size of the group, and from where it leaves them to NCCL (csrc/custom_all_reduce.cuh).
ONE_SHOT_MIB = {4: 0.5, 8: 0.25}
CUSTOM_MIB = 8.0


@dataclass(frozen=True)
class Tables:
    """Where the kernels of a GPU type are: the system's folder and the versions of its tables.

    What vLLM changed in fp8 matrices and in attention since `vllm` is taken from `newer`, another
    GPU type with the same cores that was measured at both versions, and this version of it.
    """

    system: str
    vllm: str
    comm: str
    nccl: str | None
    newer: tuple[str, str] | None = None


TABLES = {
    "a100-80gb": Tables("a100_sxm", "0.14.0", "0.14.0", "2.27.3"),
    "h100-sxm": Tables("h100_sxm", "0.24.0", "0.24.0", "2.29.2"),
    "h200": Tables("h200_sxm", "0.14.0", "0.24.0", "2.29.2", newer=("h100-sxm", "0.24.0")),
    "l40s": Tables("l40s", "0.14.0", "0.14.0", "2.27.3"),
    "rtx-pro-6000": Tables("rtx_pro_6000_server", "0.19.0", "0.19.0", None),
}


def fit_aiconfigurator(gpu: GpuCard, tables: Tables, data: Path) -> Fit:
    """Everything that the tables of one GPU type tell; raise OSError where they are not there."""
    root = data / "aiconfigurator/data"
    source = f"AIConfigurator 095f58a, {tables.system}, vLLM {tables.vllm} kernels"
    residuals: dict[str, Residual] = {}
    gemm = _matrices(root, tables.system, tables.vllm)
    bf16, residuals["bf16"] = fit_matrices(
        gemm[gemm.gemm_dtype == "bfloat16"], gpu, fp8=False, source=source
    )
    other, system, version = gpu, tables.system, tables.vllm
    if tables.newer is not None:
        other, version = load_gpu(tables.newer[0], Path()), tables.newer[1]
        system = TABLES[tables.newer[0]].system
    fp8 = None
    rows = _matrices(root, system, version)
    rows = rows[rows.gemm_dtype == "fp8"]
    if len(rows) and gpu.fp8_tflops:
        fp8, residuals["fp8"] = fit_matrices(
            rows,
            other,
            fp8=True,
            source=f"AIConfigurator 095f58a, {system}, vLLM {version} kernels",
        )
    figures = _attention(root, tables.system, tables.vllm, gpu, residuals, source)
    if tables.newer is not None:
        before = _attention(root, system, tables.vllm, other, {}, source)
        after = _attention(root, system, version, other, {}, source)
        figures = {key: value * after[key] / before[key] for key, value in figures.items()}
        source += f", scaled by what {version} brought on {system}"
    links = _links(root, tables, gpu, residuals, source) if tables.nccl else {}
    return Fit(source, bf16, fp8, figures, links, residuals)


def _matrices(root: Path, system: str, version: str) -> pd.DataFrame:
    """Shapes of real layers, tokens in the multiples that engines pad them to."""
    gemm = pd.read_parquet(root / system / f"gemm/vllm/{version}/gemm_perf.parquet")
    real = (gemm.n >= 1024) & (gemm.k >= 1024) & (gemm.k <= 16384) & (gemm.n * gemm.k >= 4e6)
    padded = (gemm.m <= 16) | (gemm.m % 8 == 0)
    gemm = gemm[real & padded & (gemm.m <= 16384)]
    shape = ["gemm_dtype", "m", "n", "k"]
    return gemm.groupby(shape, as_index=False)[["latency"]].min()


def _attention(
    root: Path,
    system: str,
    version: str,
    gpu: GpuCard,
    residuals: dict[str, Residual],
    source: str,
) -> dict[str, float]:
    folder = root / system / f"attention/vllm/{version}"
    prefill = _common(pd.read_parquet(folder / "context_attention_perf.parquet"))
    decode = _common(pd.read_parquet(folder / "generation_attention_perf.parquet"))
    figures = _prefill(prefill[prefill.kv_cache_dtype == "bfloat16"], gpu, residuals, source)
    for name, dtype in (("kv_fp8", "fp8"), ("kv", "bfloat16")):
        rows = decode[decode.kv_cache_dtype == dtype]
        if len(rows):
            share, launch_us, sequence_us = _decode(rows, gpu, name, residuals, source)
            figures[name] = share
    figures["layer_us"] = launch_us + SMALL_KERNELS_US
    figures["layer_sequence_us"] = sequence_us
    return figures


def _common(frame: pd.DataFrame) -> pd.DataFrame:
    """Attention as the shipped models have it: grouped queries, head size 128, no window."""
    full = frame["window_size"] == 0 if "window_size" in frame else True
    return frame[
        (frame.attn_dtype == "bfloat16")
        & (frame.head_dim == 128)
        & (frame.num_heads >= 4)
        & (frame.num_heads > frame.num_key_value_heads)
        & (frame.num_heads <= 16 * frame.num_key_value_heads)
        & full
    ]


def _prefill(
    rows: pd.DataFrame, gpu: GpuCard, residuals: dict[str, Residual], source: str
) -> dict[str, float]:
    """Causal attention over whole prompts: the share of the bf16 rate, and of the bandwidth."""
    rows = rows[(rows.isl >= 64) & (rows.step == 0)]
    size = column(rows, "batch_size") * column(rows, "num_heads") * 128
    length, seconds = column(rows, "isl"), column(rows, "latency") * 1e-3
    pairs_s = 4 * size * length**2 / 2 / (gpu.bf16_tflops * 1e12)
    moved_s = 4 * size * length / (gpu.bandwidth_gb_s * 1e9)

    def predict(x: Array) -> Array:
        return np.asarray(pairs_s / x[0] + moved_s / x[1] + x[2] * 1e-6)

    found = fit(predict, seconds, [0.5, 0.5, 8.0], [1.2, 4.0, 60.0])
    residuals["attention"] = residual(predict(found), seconds, source)
    return {"attention": float(found[0]), "attention_stream": float(found[1])}


def _decode(
    rows: pd.DataFrame, gpu: GpuCard, name: str, residuals: dict[str, Residual], source: str
) -> tuple[float, float, float]:
    """Decodes: the share of the bandwidth, and microseconds a layer and a sequence in it."""
    context = column(rows, "isl") + column(rows, "step")
    bytes_ = 2.0 if name == "kv" else 1.0
    batch = column(rows, "batch_size")
    read = 2 * bytes_ * 128 * batch * column(rows, "num_key_value_heads") * context
    seen = (context >= 64) & (context <= 32_768) & (batch <= 512)
    seen &= (read < 2e6) | (read > BEYOND_L2_BYTES)
    batch, read, seconds = batch[seen], read[seen], column(rows, "latency")[seen] * 1e-3
    read_s = read / (gpu.bandwidth_gb_s * 1e9)

    def predict(x: Array) -> Array:
        return np.asarray(read_s / x[0] + x[1] * 1e-6 + x[2] * 1e-6 * batch)

    found = fit(predict, seconds, [0.7, 10.0, 0.05], [1.2, 60.0, 5.0])
    residuals[name] = residual(predict(found), seconds, source)
    return float(found[0]), float(found[1]), float(found[2])


def _links(
    root: Path, tables: Tables, gpu: GpuCard, residuals: dict[str, Residual], source: str
) -> dict[int, list[LinkPiece]]:
    """All-reduces by the size of the group, in the pieces that vLLM runs them in."""
    comm = root / tables.system / "comm"
    nccl = pd.read_parquet(comm / f"nccl/{tables.nccl}/nccl_perf.parquet")
    nccl = nccl[(nccl.op_name == "all_reduce") & (nccl.nccl_dtype == "half")]
    custom = pd.read_parquet(comm / f"vllm/{tables.comm}/custom_allreduce_perf.parquet")
    custom = custom[custom.backend == "vllm_graph"]
    links: dict[int, list[LinkPiece]] = {}
    for group in (2, 4, 8):
        own = gpu.interconnect.topology == "nvswitch" or group == 2
        limits = [ONE_SHOT_MIB[group]] if own and group in ONE_SHOT_MIB else []
        limits += [CUSTOM_MIB] if own else []
        rate = gpu.interconnect.group_bandwidth_gb_s(group) * 1e9
        made, low = [], 0.0
        for limit in [*limits, None]:
            rows = (nccl if limit is None else custom).query("num_gpus == @group")
            mib = 2.0 * column(rows, "message_size") / MIB
            inside = (mib >= low) & (mib <= (limit or 256.0)) & (mib > 0.001)
            ring_s = 2 * (group - 1) / group * mib[inside] * MIB / rate
            seconds = column(rows, "latency")[inside] * 1e-3
            made.append(_piece(limit, ring_s, seconds, residuals, f"links {group}", source))
            low = limit or 0.0
        links[group] = made
    return links


def _piece(
    limit: float | None,
    ring_s: Array,
    seconds: Array,
    residuals: dict[str, Residual],
    name: str,
    source: str,
) -> LinkPiece:
    def predict(x: Array) -> Array:
        return np.asarray(x[0] * 1e-6 + ring_s / x[1])

    found = fit(predict, seconds, [8.0, 0.5], [1000.0, 2.0])
    before, now = residuals.get(name), residual(predict(found), seconds, source)
    residuals[name] = now if before is None else _joined([before, now])
    return LinkPiece(up_to_mib=limit, latency_us=shortened(found[0]), share=shortened(found[1]))


def _joined(parts: Sequence[Residual]) -> Residual:
    rows = sum(part.rows for part in parts)
    error = sum(part.rows * part.error for part in parts) / rows
    return Residual(rows=rows, error=shortened(error), source=parts[0].source)
