"""Summaries that load generators write: `vllm bench serve` and `boute bench` JSON, guidellm JSON.

They tell model, load and latencies, and nothing of the GPU and the parallelism, which the user
gives. `vllm bench serve --metadata gpu=h100-sxm tp=2 weights=fp8` puts these into its file, and
such words come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from boute.calibration.runs import Given, Loaded, Replay, Run, number, run_of, whole
from boute.errors import DataError
from boute.performance.closed_loop import Load

__all__ = ["read_guidellm", "read_vllm"]

SEED: Final = 0


def read_vllm(data: Mapping[str, Any], given: Given, where: str) -> Loaded:
    """One run; raise DataError naming the key that is missing or wrong."""
    told = _told(data, given, where)
    requests = whole(data, "completed", where=where)
    inputs = _mean_tokens(data, "total_input_tokens", requests, where)
    outputs = _mean_tokens(data, "total_output_tokens", requests, where)
    load: Load | Replay
    rate = None
    if data.get("request_rate") not in ("inf", np.inf):
        rate = number(data, "request_rate", where=where)
    if rate is None:
        at_once = whole(data, "max_concurrency", where=where, default=requests)
        at_once = min(at_once, requests)
        shortest, longest = _spread(data, requests)
        load = Load(
            inputs,
            outputs,
            at_once,
            rounds=max(1, round(requests / at_once)),
            shortest=shortest,
            longest=longest,
        )
    else:
        load = _poisson(rate, requests, inputs, outputs, data)
    ttft_ms, tpot_ms = (number(data, f"mean_{name}_ms", where=where) for name in ("ttft", "tpot"))
    return Loaded([_run(told, where, "vllm bench serve", load, ttft_ms, tpot_ms)])


def read_guidellm(data: Mapping[str, Any], given: Given, where: str) -> Loaded:
    """One run for each benchmark of the file that has a fixed concurrency or a rate."""
    loaded = Loaded()
    for index, benchmark in enumerate(data["benchmarks"]):
        place = f"{where}: benchmarks.{index}"
        if not isinstance(benchmark, Mapping):
            loaded.add(place, "is no benchmark")
            continue
        told = replace(given, model=given.model or _first(data, ("model", "processor")))
        strategy = _first(benchmark, ("strategy",)) or {}
        metrics = benchmark.get("metrics")
        metrics = metrics if isinstance(metrics, Mapping) else {}
        kind = str(_first(strategy, ("type_", "kind", "type")) or "")
        ttft, tpot, inputs, outputs = (
            _successful(metrics, name, place)
            for name in (
                "time_to_first_token_ms",
                "inter_token_latency_ms",
                "prompt_token_count",
                "output_token_count",
            )
        )
        requests = int(_requests(metrics) or 0)
        if inputs is None or outputs is None or requests < 1:
            loaded.add(place, "has no answered requests with token counts")
            continue
        lengths = max(1, round(inputs)), max(1, round(outputs))
        streams = _first(strategy, ("streams", "max_concurrency", "concurrency"))
        if kind == "synchronous":
            streams = 1
        rate = _first(strategy, ("rate", "initial_rate"))
        if isinstance(streams, int) and streams >= 1 and kind in ("concurrent", "synchronous"):
            load: Load | Replay = Load(*lengths, streams, rounds=max(1, requests // streams))
        elif isinstance(rate, int | float) and kind in ("constant", "poisson"):
            load = _poisson(float(rate), requests, *lengths, {}, even=kind == "constant")
        else:
            loaded.add(place, f"a strategy of type {kind or 'unknown'} has no load to replay")
            continue
        loaded.add(place, _run(told, place, "guidellm", load, ttft, tpot))
    return loaded


def _run(
    told: Given,
    where: str,
    recipe: str,
    load: Load | Replay,
    ttft_ms: float | None,
    tpot_ms: float | None,
) -> Run:
    return run_of(
        told,
        where=where,
        recipe=recipe,
        engine=None,
        load=load,
        ttft_s=None if ttft_ms is None else ttft_ms / 1e3,
        tpot_s=None if tpot_ms is None else tpot_ms / 1e3,
    )


def _told(data: Mapping[str, Any], given: Given, where: str) -> Given:
    """What the user gave, and what the metadata of the file say where it is nothing."""
    words = {
        name: str(data[name])
        for name in ("gpu", "weights", "kv_cache")
        if isinstance(data.get(name), str)
    }
    sizes = {name: whole(data, name, where=where) for name in ("tp", "pp") if name in data}
    model = given.model or data.get("model_id")
    if given.gpu is not None:
        words.pop("gpu", None)
    return replace(given, model=model, **words, **sizes)  # type: ignore[arg-type]


def _mean_tokens(data: Mapping[str, Any], key: str, requests: int, where: str) -> int:
    return max(1, round(whole(data, key, where=where) / requests))


def _poisson(
    rate: float,
    requests: int,
    inputs: int,
    outputs: int,
    data: Mapping[str, Any],
    *,
    even: bool = False,
) -> Replay:
    """Arrivals at a rate: those of the file where it has them, else drawn with a fixed seed."""
    if rate <= 0:
        raise DataError(f"a request rate of {rate:g} sends nothing")
    gaps = np.random.default_rng(SEED).exponential(1.0 / rate, requests)
    arrival_s = np.arange(requests) / rate if even else np.cumsum(gaps)
    sent = _list(data, "start_times", requests)
    if sent is not None:
        arrival_s = np.sort(sent - sent.min())
    lengths = [_list(data, key, requests) for key in ("input_lens", "output_lens")]
    return Replay(
        arrival_s,
        *(
            np.full(requests, mean, dtype=np.int64)
            if found is None
            else np.maximum(1, found).astype(np.int64)
            for found, mean in zip(lengths, (inputs, outputs), strict=True)
        ),
    )


def _spread(data: Mapping[str, Any], requests: int) -> tuple[float, float]:
    """Shortest and longest over mean, of inputs and outputs together; all equal if not told."""
    found = [_list(data, key, requests) for key in ("input_lens", "output_lens")]
    shares = [lengths / lengths.mean() for lengths in found if lengths is not None]
    together = np.concatenate(shares) if shares else np.ones(1)
    return float(together.min()), float(together.max())


def _list(data: Mapping[str, Any], key: str, requests: int) -> np.ndarray[Any, Any] | None:
    values = data.get(key)
    if not isinstance(values, list) or len(values) != requests:
        return None
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _first(data: object, names: tuple[str, ...]) -> Any:
    """The first value of one of these names, at any depth, nearest to the top first."""
    level = [data]
    while level:
        below: list[object] = []
        for item in level:
            if isinstance(item, Mapping):
                for name in names:
                    if item.get(name) is not None:
                        return item[name]
                below.extend(item[key] for key in item if key not in ("metrics", "requests"))
            elif isinstance(item, list):
                below.extend(item[:8])
        level = below
    return None


def _successful(metrics: Mapping[str, Any], name: str, where: str) -> float | None:
    record = metrics.get(name) or {}
    kind = record.get("successful", record) if isinstance(record, Mapping) else {}
    return number(kind, "mean", where=f"{where}: {name}") if isinstance(kind, Mapping) else None


def _requests(metrics: Mapping[str, Any]) -> float | None:
    counts: Iterator[Any] = (
        record["successful"].get("count")
        for record in metrics.values()
        if isinstance(record, Mapping) and isinstance(record.get("successful"), Mapping)
    )
    return max((float(n) for n in counts if isinstance(n, int | float)), default=None)
