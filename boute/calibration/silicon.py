"""Rows of AIConfigurator's silicon_sample: measured serving points at a fixed concurrency.

They come from two load generators whose public recipes are followed here.

- InferenceX (github.com/SemiAnalysisAI/InferenceX, benchmarks/70b_fp8_h100_slurm.sh at 2a205bb3,
  utils/bench_serving): ten requests for each place, sent as soon as one is free, lengths even
  between 0.8 times the given ones and these, 8192 tokens a step, `max_num_seqs` the concurrency,
  asynchronous scheduling; times are means over all requests. Rows whose source is a dated export
  or the database.
- AIConfigurator's own runs with aiperf or genai-perf (github.com/ai-dynamo/aiconfigurator,
  eval/benchmarks/genai_perf_runner.py at 5e161875): ten requests for each place, all of the given
  lengths; `max_num_batched_tokens` is input + 1500 + concurrency
  (generator/rule_plugin/benchmark/vllm.rule at 2b264ba7). Asynchronous scheduling is vLLM's default
  from 0.14 on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from boute.calibration.runs import Loaded, Run, number, whole
from boute.documents import check_document
from boute.errors import BouteError, DataError
from boute.performance.closed_loop import Load
from boute.spec.model import Engine
from boute.tables import Table

__all__ = ["COLUMNS", "read_silicon"]

COLUMNS: Final = (
    "backend",
    "system",
    "model_path",
    "isl",
    "osl",
    "batch_size",
    "tp_size",
    "silicon_ttft_ms",
    "silicon_tpot_ms",
)
SYSTEMS: Final = {
    "a100_sxm": "a100-80gb",
    "b200_sxm": "b200",
    "h100_sxm": "h100-sxm",
    "h100_pcie": "h100-pcie",
    "h200_sxm": "h200",
    "l40s": "l40s",
    "rtx_pro_6000_server": "rtx-pro-6000",
}
# Formats of weights that the model knows, by the word of the column `precision`.
PRECISIONS: Final = {"": "bf16", "bf16": "bf16", "bfloat16": "bf16", "fp16": "bf16", "fp8": "fp8"}
INFERENCEX: Final = re.compile(r"^(db-dump|source_file=\d{4}-\d\d-\d\d\.csv)")
ASYNCHRONOUS_FROM: Final = (0, 14)
# Longer than this until the first token: the run waited for KV cache, whatever a model predicts.
STARVED_MS: Final = 60_000.0


def read_silicon(table: Table) -> Loaded:
    """Every row as a run or the reason why not; raise DataError for what no row can have."""
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DataError(
            f"has no column {missing[0]!r}",
            where=str(table.path),
            mend="a CSV file should have the columns of AIConfigurator's silicon_sample",
        )
    loaded = Loaded()
    for index in range(len(table)):
        row = {name: values[index] for name, values in table.columns.items()}
        where = table.place(index)
        try:
            loaded.add(where, _run(row, where))
        except BouteError as problem:
            loaded.add(where, str(problem).removeprefix(f"{where}: "))
    return loaded


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value).strip()


def _run(row: Mapping[str, object], where: str) -> Run | str:
    reason = _unlike(row, where)
    if reason is not None:
        return reason
    source = _text(row, "silicon_data_source")
    inferencex = INFERENCEX.match(source) is not None
    concurrency = whole(row, "batch_size", where=where)
    input_tokens, output_tokens = whole(row, "isl", where=where), whole(row, "osl", where=where)
    budget = 8192 if inferencex else input_tokens + 1500 + concurrency
    ttft_ms = number(row, "silicon_ttft_ms", where=where)
    tpot_ms = number(row, "silicon_tpot_ms", where=where)
    return Run(
        where=where,
        recipe="InferenceX" if inferencex else "aiperf",
        engine_name=_text(row, "backend"),
        gpu=SYSTEMS[_text(row, "system")],
        model=_text(row, "model_path"),
        weights=PRECISIONS[_text(row, "precision").lower()],
        kv_cache="bf16",
        tp=whole(row, "tp_size", where=where),
        pp=whole(row, "pp_size", where=where, default=1),
        engine=check_document(
            {"max_num_batched_tokens": budget, "max_num_seqs": concurrency}, Engine, where=where
        ),
        load=Load(
            input_tokens,
            output_tokens,
            concurrency,
            shortest=0.8 if inferencex else 1.0,
            longest=1.0,
        ),
        ttft_s=None if ttft_ms is None else ttft_ms / 1e3,
        tpot_s=None if tpot_ms is None else tpot_ms / 1e3,
        asynchronous=inferencex or _version(_text(row, "backend_version")) >= ASYNCHRONOUS_FROM,
    )


def _unlike(row: Mapping[str, object], where: str) -> str | None:
    """Why a row is of something that is not modelled."""
    mode, system, precision = (_text(row, key) for key in ("mode", "system", "precision"))
    ttft_ms = number(row, "silicon_ttft_ms", where=where) or 0.0
    reasons = {
        f"mode {mode}: prompts and answers on different GPUs are not modelled": (
            mode not in ("", "agg")
        ),
        f"there is no GPU card for {system}": system not in SYSTEMS,
        f"weights in {precision} are not modelled": precision.lower() not in PRECISIONS,
        "data-parallel attention is not modelled": (
            (number(row, "attention_dp_size", where=where) or 1.0) > 1.0
        ),
        "batch_size counts all replicas of a deployment, and how many is not told": (
            "gtl_job_id" in _text(row, "silicon_data_source")
        ),
        "waits for KV cache: a minute and more to the first token": ttft_ms > STARVED_MS,
    }
    return next((reason for reason, true in reasons.items() if true), None)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
