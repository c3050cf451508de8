"""Requests one by one, JSON Lines with timestamps: a whole file is one run, replayed as logged.

Columns under the names that LLMServingSim's logs of vLLM, `boute bench` and common scripts use. A
`meta.json` beside the file, as LLMServingSim writes it, tells the model and the engine's limits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boute.calibration.runs import LLMSERVINGSIM, Given, Loaded, Replay, run_of, whole
from boute.documents import check_document
from boute.errors import DataError
from boute.files import read_text
from boute.spec.model import Engine
from boute.tables import Table

__all__ = ["read_requests"]

Floats = NDArray[np.float64]
# Clocks that are seconds apart from each other come in pairs: arrivals by the clock of the rest.
ARRIVAL: Final = ("queued_ts", "sent_s", "arrival_s", "arrival_time", "start_time", "timestamp")
INPUT: Final = ("input_toks", "input_tokens", "prompt_tokens", "num_prefill_tokens")
OUTPUT: Final = ("output_toks", "output_tokens", "completion_tokens", "num_decode_tokens")
FIRST: Final = ("first_token_ts", "first_token_time")
LAST: Final = ("last_token_ts", "finish_time", "end_time")


def read_requests(table: Table, given: Given) -> Loaded:
    """One run of all requests that were answered; raise DataError for what is missing."""
    where = str(table.path)
    arrival_s, inputs, outputs = (_column(table, names) for names in (ARRIVAL, INPUT, OUTPUT))
    ttft_s, decode_s = _latencies(table, arrival_s)
    answered = np.isfinite(arrival_s + inputs + outputs + ttft_s) & (outputs >= 1) & (inputs >= 1)
    if not answered.any():
        raise DataError("has no answered request", where=where)
    order = np.argsort(arrival_s[answered], kind="stable")
    arrival_s, inputs, outputs, ttft_s, decode_s = (
        values[answered][order] for values in (arrival_s, inputs, outputs, ttft_s, decode_s)
    )
    told, engine = _deployment(table.path, given)
    several = outputs > 1
    run = run_of(
        told,
        where=where,
        recipe="requests as logged",
        engine=engine,
        load=Replay(arrival_s - arrival_s.min(), inputs.astype(np.int64), outputs.astype(np.int64)),
        ttft_s=float(ttft_s.mean()),
        tpot_s=float((decode_s[several] / (outputs[several] - 1)).mean())
        if several.any()
        else None,
    )
    return Loaded([run])


def _column(table: Table, names: Sequence[str], *, needed: bool = True) -> Floats:
    """The first column of these names [n], NaN where a request has no value."""
    name = next((name for name in names if name in table.columns), None)
    if name is None:
        if not needed:
            return np.full(len(table), np.nan)
        raise DataError(
            f"has no column {names[0]!r}", where=str(table.path), mend=f"or one of {names[1:]}"
        )
    values = np.full(len(table), np.nan)
    for index, value in enumerate(table.columns[name]):
        if value is not None and value != "":
            try:
                values[index] = float(value)  # type: ignore[arg-type]
            except (TypeError, ValueError):
                raise DataError(
                    f"{value!r} is not a number", where=f"{table.place(index)}: {name}"
                ) from None
    return values


def _latencies(table: Table, arrival_s: Floats) -> tuple[Floats, Floats]:
    """Seconds to the first token, and from there to the last."""
    if any(name in table.columns for name in FIRST):
        first_s, last_s = _column(table, FIRST), _column(table, LAST)
        return first_s - arrival_s, last_s - first_s
    ttft_s = _column(table, ("ttft_s", "ttft"))
    return ttft_s, _column(table, ("e2e_s", "latency", "e2e")) - ttft_s


def _deployment(path: Path, given: Given) -> tuple[Given, Engine]:
    """From the options, and what `meta.json` and the folders of LLMServingSim tell."""
    beside = path.parent / "meta.json"
    meta: Mapping[str, Any] = {}
    if beside.is_file():
        try:
            found = json.loads(read_text(beside, error=DataError))
            meta = found if isinstance(found, Mapping) else {}
        except ValueError:
            raise DataError("is not valid JSON", where=str(beside)) from None
    kwargs = meta.get("engine_kwargs")
    kwargs = kwargs if isinstance(kwargs, Mapping) else {}
    folder = next((LLMSERVINGSIM[part] for part in path.parts if part in LLMSERVINGSIM), None)
    told = replace(
        given,
        gpu=given.gpu or folder,
        model=given.model or meta.get("model"),
        tp=whole(kwargs, "tensor_parallel_size", where=str(beside), default=given.tp),
    )
    limits = {
        name: whole(kwargs, name, where=str(beside))
        for name in ("max_num_seqs", "max_num_batched_tokens")
        if kwargs.get(name) is not None
    }
    return told, check_document(limits, Engine, where=str(beside))
