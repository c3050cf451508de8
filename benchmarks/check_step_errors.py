"""Predicts measured end-to-end runs and prints the error by GPU type; no fit has seen them.

    python -m benchmarks.check_step_errors [--data ../shared/data] [--write] [--rows]

What `boute profile check` reads is compared as it does; older measurements are read here.
`--write` states the errors in profiles/coefficients.yaml: the mean absolute error over a GPU type's
rows, and for a GPU type with fewer than ten rows the largest of the NVIDIA types that have more.
Argonne's rows give the seconds of a whole offline batch, compared per output token as TPOT; its
power is compared with that of a decode step half way through the answer.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from boute.calibration.read import read_runs
from boute.calibration.runs import Given
from boute.calibration.summary import check, label
from boute.documents import dump_yaml
from boute.errors import BouteError
from boute.files import write_text
from boute.performance.build import build_replica
from boute.performance.coefficients import coefficients_path
from boute.performance.estimate import Case, estimate_case, find_model
from boute.performance.step import CONTEXT_J, CONTEXT_S, step_fixed_j, step_fixed_s
from boute.profiles.catalog import load_gpu
from boute.profiles.huggingface import card_fields
from boute.profiles.model import ModelCard
from boute.spec.family import ModelChoice
from boute.spec.model import Engine

Row = dict[str, object]
# Above this share of the places taken a run waits for KV cache, and TTFT is the length of the test.
STARVED = 0.95
FEWEST_ROWS = 10
SOURCES = {
    "InferenceX": "silicon_sample, vLLM",
    "aiperf": "silicon_sample, vLLM",
    "requests as logged": "LLMServingSim bench, vLLM 0.19",
}
ARGONNE_GPUS = {"Nvidia A100 GPU": "a100-40gb", "AMD MI300X GPU": "mi300x"}
ARGONNE_MODELS = {
    "meta-llama/Meta-Llama-3-8B": "llama-3-8b",
    "meta-llama/Meta-Llama-3-70B": "llama-3-70b",
    "mistralai/Mistral-7B-v0.1": "mistral-7b",
    "mistralai/Mixtral-8x7B-v0.1": "mixtral-8x7b",
}
IBM_GPUS = {"A10": "a10g", "T4": "t4"}
IBM_WIDTHS = {"llama-7b": (4096, 32, 32, 11008), "llama-13b": (5120, 40, 40, 13824)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--write", action="store_true", help="state the errors in the profiles")
    parser.add_argument("--rows", action="store_true", help="print every row")
    options = parser.parse_args()
    sources = (measured_runs, argonne, ibm)
    rows = pd.DataFrame([row for source in sources for row in source(options.data)])
    for metric in ("ttft", "tpot"):
        rows[f"{metric}_error"] = rows[f"{metric}_predicted"] / rows[f"{metric}_measured"] - 1
    if options.rows:
        print(rows.round(4).to_string(index=False))
    table = summary(rows)
    print(table.to_string(index=False, float_format=lambda x: f"{x:.1%}", na_rep="-"))
    print(f"mean power of decoding: {power_error(options.data):.1%} MAPE over 8 rows of Argonne")
    if options.write:
        state_errors(table)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Errors by GPU type and source: mean absolute and median signed."""
    lines = []
    for (gpu, source), group in rows.groupby(["gpu", "source"]):
        line: Row = {"gpu": gpu, "source": source, "rows": str(len(group))}
        for metric in ("tpot", "ttft"):
            error = group[f"{metric}_error"].dropna()
            line[f"{metric} MAPE"] = error.abs().mean() if len(error) else np.nan
            line[f"{metric} median"] = error.median() if len(error) else np.nan
        lines.append(line)
    return pd.DataFrame(lines)


def state_errors(table: pd.DataFrame) -> None:
    """Write the errors into the shipped coefficients."""
    path = coefficients_path()
    shipped = yaml.safe_load(path.read_text(encoding="utf-8"))
    table = table[table.rows.astype(int) >= FEWEST_ROWS]
    nvidia = table[table.gpu.map(lambda name: load_gpu(name, Path()).vendor == "nvidia")]
    known = {str(line["gpu"]): line for _, line in table.iterrows()}
    for name, record in {**shipped["gpus"], "default": shipped["default"]}.items():
        line = known.get(name)
        sources = []
        for metric in ("tpot", "ttft"):
            mape = np.nan if line is None else float(line[f"{metric} MAPE"])
            if line is None or np.isnan(mape):
                mape = float(nvidia[f"{metric} MAPE"].max())
                sources.append(f"{metric.upper()} as the least well predicted NVIDIA type")
            else:
                sources.append(f"{metric.upper()} of {line['rows']} rows, {line['source']}")
            record[f"{metric}_error"] = round(mape, 2)
        record["error_source"] = "; ".join(sources)
    write_text(path, dump_yaml(shipped))


def measured_runs(data: Path) -> Iterator[Row]:
    """Whatever `boute profile check` compares: silicon_sample, and the real runs of vLLM."""
    logs = sorted((data / "llmservingsim/bench").glob("*/*/requests.jsonl"))
    loaded = read_runs([data / "aiconfigurator/silicon_sample.csv.gz", *logs], Given())
    loaded.runs = [run for run in loaded.runs if run.engine_name == "vllm"]
    for row in check(loaded).compared:
        yield {
            "gpu": row.run.gpu,
            "source": SOURCES[row.run.recipe],
            "case": label(row.run),
            "ttft_predicted": row.predicted.ttft_s,
            "tpot_predicted": row.predicted.tpot_s,
            "ttft_measured": row.run.ttft_s,
            "tpot_measured": row.run.tpot_s,
        }


def argonne(data: Path) -> Iterator[Row]:
    """LLM-Inference-Bench: seconds of an offline batch on vLLM of 2024."""
    frame = pd.read_csv(data / "argonne_llm_inference_bench/All_results.csv.gz")
    frame = frame[(frame.Framework == "vLLM") & frame.Hardware.isin(ARGONNE_GPUS)]
    frame = frame[frame.Model.isin(ARGONNE_MODELS)].drop_duplicates(frame.columns[:6].tolist())
    for _, row in frame.iterrows():
        length = int(row["Input Output Length"])
        # Four A100 for 70B are starved of cache: throughput does not grow with the batch there.
        if row["Model"].endswith("70B") and "A100" in row["Hardware"]:
            continue
        case = Case(
            model=ARGONNE_MODELS[row["Model"]],
            gpu=ARGONNE_GPUS[row["Hardware"]],
            tp=int(row["Num of Hardware"]),
            input_tokens=length,
            output_tokens=length,
            concurrency=int(row["Batch Size"]),
        )
        found = predicted(case, "Argonne LLM-Inference-Bench, vLLM of 2024")
        if found is not None:
            request_s = found["ttft_predicted"] + found["tpot_predicted"] * (length - 1)
            found |= {"tpot_predicted": request_s / length, "ttft_predicted": np.nan}
            yield {**found, "tpot_measured": row["Latency"] / length, "ttft_measured": np.nan}


def ibm(data: Path) -> Iterator[Row]:
    """LLM-Pilot: medians at a number of users, on IBM's TGIS server."""
    frame = pd.read_csv(data / "ibm_llmpilot/aggregate.csv")
    frame = frame[frame.model.isin(IBM_WIDTHS) & frame.gpu_type.isin(IBM_GPUS)]
    frame = frame[(frame.n_ok >= 0.99 * frame.n_requests) & (frame.num_users <= 16)]
    for row in frame.itertuples():
        case = Case(
            model=row.model,
            gpu=IBM_GPUS[row.gpu_type],
            tp=int(row.n_gpus),
            input_tokens=round(row.in_tokens_mean),
            output_tokens=round(row.out_tokens_mean),
            concurrency=int(row.num_users),
        )
        found = predicted(case, "IBM LLM-Pilot, TGIS")
        if found is not None:
            measured = {
                "ttft_measured": row.ttft_ms_p50 / 1e3,
                "tpot_measured": row.itl_ms_p50 / 1e3,
            }
            yield {**found, **measured}


def power_error(data: Path) -> float:
    """Mean absolute error of the power of Llama-3-8B on vLLM, one A100 or H100, batches 1 to 64."""
    frame = pd.read_csv(data / "argonne_llm_inference_bench/power_results_fig16ab.csv")
    frame = frame[(frame.Framework == "vLLM") & (frame.Model == "meta-llama/Meta-Llama-3-8B")]
    errors = []
    for _, row in frame.iterrows():
        length, batch = int(row["Input Output Length"]), float(row["Batch Size"])
        gpu = load_gpu("a100-40gb" if "A100" in row["Hardware"] else "h100-sxm", Path())
        replica = build_replica(
            find_model("llama-3-8b", Path()),
            gpu,
            ModelChoice(name="measured"),
            Engine(),
            tensor_parallel=1,
            pipeline_parallel=1,
            max_model_len=2 * length,
        )
        assert not isinstance(replica, str)
        costs, context = replica.costs, batch * 1.5 * length
        joules = step_fixed_j(costs, batch, batch) + costs[CONTEXT_J] * context
        seconds = step_fixed_s(costs, batch, batch) + costs[CONTEXT_S] * context
        errors.append(abs((gpu.idle_w + joules / seconds) / (row["avg_power"] / 1e3) - 1))
    return float(np.mean(errors))


def predicted(case: Case, source: str) -> dict[str, object] | None:
    """The prediction of a row, or None where it cannot run or waits for its cache."""
    try:
        # Servers of 2024 do not schedule ahead.
        made = estimate_case(case, Path(), model=llama1(case.model), asynchronous=False)
    except BouteError as problem:
        print(f"skipped {case.concurrency} users: {problem}")
        return None
    steady = made.steady
    if steady.load > STARVED:
        return None
    return {
        "gpu": case.gpu,
        "source": source,
        "case": f"{case.model} tp{case.tp} {case.input_tokens}/{case.output_tokens} "
        f"x{case.concurrency} {case.weights}",
        "ttft_predicted": steady.ttft_s,
        "tpot_predicted": steady.tpot_s,
    }


def llama1(name: str) -> ModelCard | None:
    """Cards of the first LLaMA, which are too old to ship; None for any other name."""
    if name not in IBM_WIDTHS:
        return None
    hidden, layers, heads, inner = IBM_WIDTHS[name]
    config = {
        "model_type": "llama",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": 32_000,
        "max_position_embeddings": 2048,
    }
    return ModelCard(name=name, source="arXiv:2302.13971", **card_fields(config, where=name))


if __name__ == "__main__":
    main()
