"""Fits profiles/power.yaml on measured power and prints the residuals.

    python -m benchmarks.fit_power [--data ../shared/data] [--write]

Shares of power by what a step does: mean power of offline batches of Llama-2-7B and Llama-3-8B on
vLLM (Argonne LLM-Inference-Bench 4211f5d, BSD-3-Clause; its unit is mW), against the same batches
simulated. Power by clock: stages of GPT-3 and BLOOM on A100 and A40 (Perseus, ml-energy/zeus
38cb3f9, Apache-2.0), bound by arithmetic; Llama of one sequence on H100 (mertside/ai-inference-
energy, blob b8f3ece3, MIT), bound by memory. The error of shares is that of rows left out.
"""

from __future__ import annotations

import argparse
import datetime
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls

from boute.documents import dump_yaml
from boute.files import write_text
from boute.performance import step
from boute.performance.build import build_replica
from boute.performance.energy import add_energy
from boute.performance.estimate import find_model
from boute.performance.power import PowerCoefficients, PowerTable, power_path
from boute.performance.replica import Replica
from boute.profiles.catalog import load_gpu
from boute.profiles.gpu import GpuCard
from boute.profiles.model import ModelCard
from boute.simulation.pool import simulate_pool
from boute.spec.family import ModelChoice
from boute.spec.model import Engine

__all__ = ["fit"]

Array = NDArray[np.float64]
ROOT = Path(__file__).resolve().parent.parent
ARGONNE = {"Nvidia A100 GPU": "a100-40gb", "Nvidia H100 GPU": "h100-sxm"}
LLAMA_2 = {"num_key_value_heads": 32, "intermediate_size": 11008, "vocab_size": 32_000}
PERSEUS = {"a100-80gb": ("a100_sxm", 1410.0), "a40": ("a40", 1480.0)}  # the A40's limit: above
H100_TOP_MHZ = 1785.0  # it the power limit holds the clock


class Shares(NamedTuple):
    """`weights` and `cache`, the mean and the worst error of a row left out, and the rows."""

    weights: float
    cache: float
    error: float
    worst: float
    rows: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--write", action="store_true", help="write profiles/power.yaml")
    options = parser.parse_args()
    table = fit(options.data)
    if options.write:
        write_text(power_path(), dump_yaml(table.model_dump(mode="json")))


def fit(data: Path) -> PowerTable:
    """The whole table, from what is below a data folder; prints the residuals."""
    shares = {name: fit_shares(name, data) for name in ARGONNE.values()}
    clocks = {name: fit_clock(name, data) for name in PERSEUS}
    return made(shares, clocks, fit_memory(data))


def fit_shares(name: str, data: Path) -> Shares:
    """From the rows of one GPU type."""
    gpu = load_gpu(name, Path())
    frame = pd.read_csv(data / "argonne_llm_inference_bench/power_results_fig16ab.csv")
    frame = frame[frame.Hardware.map(ARGONNE.get) == name]
    frame = frame[frame.Framework == "vLLM"]
    terms, target, measured = [], [], []
    for _, row in frame.iterrows():
        parts = batch_parts(gpu, row["Model"], int(row["Batch Size"]), row["Input Output Length"])
        terms.append(parts[1:])
        target.append(float(row["avg_power"]) / 1e3 - gpu.idle_w - parts[0])
        measured.append(float(row["avg_power"]) / 1e3)
    x, y, power = np.array(terms), np.array(target), np.array(measured)
    errors = []
    for left in range(len(y)):
        kept = np.arange(len(y)) != left
        errors.append(abs(x[left] @ solve(x[kept], y[kept], power[kept]) - y[left]) / power[left])
    found = solve(x, y, power)
    fitted = np.abs(x @ found - y) / power
    print(
        f"{name:12} weights {found[0]:.2f} cache {found[1]:.2f} of idle to peak; mean power off by "
        f"{fitted.mean():.1%} over {len(y)} rows, {np.mean(errors):.1%} left out, "
        f"{np.max(errors):.1%} at worst"
    )
    return Shares(*map(float, (*found, np.mean(errors), np.max(errors))), len(y))


def solve(x: Array, y: Array, scale: Array) -> Array:
    return np.minimum(nnls(x / scale[:, None], y / scale)[0], 1.0)


def batch_parts(gpu: GpuCard, model: str, batch: int, tokens: int) -> tuple[float, float, float]:
    """Mean watts of a batch: of arithmetic, and further ones if reading weights or cache drew all.

    The time is the simulated one: engines of 2024 took up to a quarter longer, with the GPU busy.
    """
    card = find_model("llama-3-8b", Path())
    if "Llama-2" in model:
        card = card.model_copy(update=LLAMA_2)
    replica = replica_of(gpu, card, 2 * tokens)
    runs = [watts(replica, gpu, batch, tokens, at) for at in ((0, 0), (1, 0), (0, 1))]
    return runs[0], runs[1] - runs[0], runs[2] - runs[0]


def replica_of(gpu: GpuCard, card: ModelCard, longest: int) -> Replica:
    replica = build_replica(
        card,
        gpu,
        ModelChoice(name="measured"),
        Engine(max_num_batched_tokens=2048),
        tensor_parallel=1,
        pipeline_parallel=1,
        max_model_len=longest,
    )
    if isinstance(replica, str):
        raise SystemExit(replica)
    return replica


def watts(
    replica: Replica, gpu: GpuCard, batch: int, tokens: int, shares: tuple[float, float]
) -> float:
    """Mean power above idle of an offline batch, with these shares for weights and cache."""
    costs = replica.costs.copy()
    power = PowerCoefficients(
        weights=shares[0],
        cache=shares[1],
        arithmetic_static=0,
        memory_static=0,
        voltage_floor=1,
        error=1,
        error_source="",
        source="",
    )
    token_s = float(costs[step.TOKEN_S] + costs[step.EXPERT_TOKEN_S])
    add_energy(costs, gpu.peak_w - gpu.idle_w, power, token_s=token_s)
    lengths = np.full(batch, tokens, np.int64)
    run = simulate_pool(replace(replica, costs=costs), 1, np.zeros(batch), lengths, lengths, 0)
    return run.dynamic_j / run.end_s


def fit_clock(name: str, data: Path) -> tuple[float, float]:
    """`arithmetic_static` and `voltage_floor` from stages bound by arithmetic."""
    folder, top_mhz = PERSEUS[name]
    gpu = load_gpu(name, Path())
    parts = []
    for path in sorted((data / "perseus_dvfs").glob(f"stage_profile_*_{folder}_bf16.csv")):
        frame = pd.read_csv(path)
        frame = frame[frame.frequency <= top_mhz]
        frame["power"] = frame.energy / frame.time
        group = frame.groupby(["stage", "instruction"])
        frame["top_w"] = group.power.transform("last" if _ascends(frame) else "first")
        parts.append(frame)
    rows = pd.concat(parts)
    clock, power_w = rows.frequency.to_numpy(float) / top_mhz, rows.power.to_numpy(float)
    top_w = rows.top_w.to_numpy(float)
    best = (np.inf, 0.0, 1.0)
    for floor in np.linspace(0.4, 1.0, 61):
        dynamic = clock * np.maximum(floor, clock) ** 2
        span = top_w - gpu.idle_w
        # power = idle + span (static + (1 - static) dynamic)
        share = span * (1.0 - dynamic) / power_w
        static = float(
            share @ ((power_w - gpu.idle_w - span * dynamic) / power_w) / (share @ share)
        )
        static = min(max(static, 0.0), 1.0)
        predicted = gpu.idle_w + span * (static + (1.0 - static) * dynamic)
        best = min(best, (float(np.abs(predicted / power_w - 1).mean()), static, float(floor)))
    print(
        f"{name:12} bound by arithmetic: {best[1]:.2f} does not follow the clock, voltage down to "
        f"{best[2]:.2f}; power off by {best[0]:.1%} over {len(rows)} rows"
    )
    return best[1], best[2]


def _ascends(frame: pd.DataFrame) -> bool:
    return bool(frame.frequency.iloc[0] < frame.frequency.iloc[-1])


def fit_memory(data: Path) -> float:
    """`memory_static`: what of the power above idle stays when the clock of a decode falls."""
    frame = pd.read_csv(data / "mertside_dvfs/freq_power_time.csv")
    frame = frame[(frame.gpu == "H100") & (frame.workload == "llama")]
    by_clock = frame.groupby("freq_mhz").median(numeric_only=True)
    clock, power_w = by_clock.index.to_numpy(float) / H100_TOP_MHZ, by_clock.power_w.to_numpy(float)
    idle_w = load_gpu("h100-sxm", Path()).idle_w
    terms = np.stack([np.ones_like(clock), clock**3]) / power_w
    found, _ = nnls(terms.T, (power_w - idle_w) / power_w)
    static = float(found[0] / found.sum())
    off = np.abs(idle_w + found @ np.stack([np.ones_like(clock), clock**3]) - power_w) / power_w
    slower = by_clock.time_s[clock >= 0.4].max() / by_clock.time_s.iloc[-1]
    print(
        f"{'h100-sxm':12} bound by memory: {static:.2f} does not follow the clock; power off by "
        f"{off.mean():.1%} over {len(clock)} clocks, time at most {slower - 1:.0%} longer"
    )
    return static


def made(
    shares: dict[str, Shares],
    clocks: dict[str, tuple[float, float]],
    memory_static: float,
) -> PowerTable:
    """The table: what was measured by GPU type, the means of the measured types elsewhere."""
    static, floor = (float(np.mean([part[i] for part in clocks.values()])) for i in (0, 1))
    usual = {
        "weights": float(np.mean([part.weights for part in shares.values()])),
        "cache": float(np.mean([part.cache for part in shares.values()])),
        "arithmetic_static": static,
        "voltage_floor": floor,
        "memory_static": memory_static,
        "error": max(part.worst for part in shares.values()),
    }
    everywhere = "the rest as default"
    default = rounded(usual, "means of the measured GPU types", "the worst row of them")
    gpus = {}
    for name in sorted({*shares, *clocks}):
        own, sources = dict(usual), []
        if name in shares:
            part = shares[name]
            own |= {"weights": part.weights, "cache": part.cache, "error": part.error}
            sources.append("Argonne LLM-Inference-Bench 4211f5d, vLLM")
        if name in clocks:
            own |= dict(zip(("arithmetic_static", "voltage_floor"), clocks[name], strict=True))
            sources.append("Perseus 38cb3f9")
        if name == "h100-sxm":
            sources.append("mertside b8f3ece3")
        tested = (
            f"{shares[name].rows} rows, each left out" if name in shares else default.error_source
        )
        gpus[name] = rounded(own, "; ".join([*sources, everywhere]), tested)
    return PowerTable(fitted_on=str(datetime.date.today()), default=default, gpus=gpus)


def rounded(figures: dict[str, float], source: str, error_source: str) -> PowerCoefficients:
    short = {key: round(value, 3) for key, value in figures.items()}
    return PowerCoefficients(**short, source=source, error_source=error_source)


if __name__ == "__main__":
    main()
