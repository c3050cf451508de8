"""What a replay measured, in the field names of `vllm bench serve`.

Latencies are over the requests that were answered, and null where there is none of a kind; rates
are over the window of the trace, or until the last answer if that is later, as in the simulator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from boute.bench.record import Record, meets
from boute.routing.expected import Interval, expected_quality
from boute.workload.arrays import Floats

__all__ = ["PERCENTILES", "Measured", "detailed_results", "results"]

PERCENTILES: Final = (50, 90, 95, 99)


@dataclass(frozen=True, eq=False)
class Measured:
    """The records of a replay of a trace that lasts `window_s`.

    `limits` are what a request has to meet for goodput, latency name to seconds.
    """

    records: Sequence[Record]
    window_s: float
    limits: Mapping[str, float]

    @property
    def answered(self) -> list[Record]:
        """The requests that were answered in full."""
        return [record for record in self.records if record.ok]

    @property
    def duration_s(self) -> float:
        """From the start to the end of the window, or of the last request if that is later."""
        return max(self.window_s, *(record.sent_s + record.e2e_s for record in self.records))

    def latency_s(self, name: str) -> Floats:
        """`ttft`, `tpot`, `itl` or `e2e` of the answered requests that have it, in seconds."""
        if name == "itl":
            return np.array([gap for record in self.answered for gap in record.itl_s])
        values = [getattr(record, f"{name}_s") for record in self.answered]
        return np.array([value for value in values if value is not None], dtype=np.float64)

    @property
    def slo_attainment(self) -> float:
        """Share of all requests that meet the limits; a failed one does not."""
        return sum(meets(record, self.limits) for record in self.records) / len(self.records)

    @property
    def goodput_per_s(self) -> float:
        """Requests a second that meet the limits."""
        return self.slo_attainment * len(self.records) / self.duration_s

    @property
    def output_tokens_per_s(self) -> float:
        """Tokens of the answered requests a second."""
        return sum(record.output_tokens for record in self.answered) / self.duration_s

    @property
    def quality(self) -> Interval | None:
        """Mean quality of the checked answers with its 95% interval; None without any."""
        checked = [record.quality for record in self.answered if record.quality is not None]
        if not checked:
            return None
        return expected_quality(np.array(checked)[:, None], np.zeros(len(checked), dtype=np.int64))

    @property
    def shares(self) -> dict[str, float]:
        """Share of the answered requests by the model that answered."""
        counts = Counter(record.model for record in self.answered)
        return {model: count / counts.total() for model, count in sorted(counts.items())}

    @property
    def reasons(self) -> dict[str, int]:
        """How many requests failed for each reason, the commonest first."""
        return dict(Counter(r.reason for r in self.records if not r.ok).most_common())


def results(measured: Measured) -> dict[str, Any]:
    """The summary: vLLM's fields, and what vLLM has none for."""
    answered, duration_s = measured.answered, measured.duration_s
    inputs = sum(record.input_tokens for record in answered)
    outputs = sum(record.output_tokens for record in answered)
    quality = measured.quality
    fields: dict[str, Any] = {
        "duration": duration_s,
        "completed": len(answered),
        "failed": len(measured.records) - len(answered),
        "total_input_tokens": inputs,
        "total_output_tokens": outputs,
        "request_throughput": len(answered) / duration_s,
        "request_goodput": measured.goodput_per_s if measured.limits else None,
        "output_throughput": measured.output_tokens_per_s,
        "total_token_throughput": (inputs + outputs) / duration_s,
        "max_output_tokens_per_s": _peak_tokens_per_s(answered),
        "max_concurrent_requests": _peak_concurrency(measured.records),
    }
    for name, field in (("ttft", "ttft"), ("tpot", "tpot"), ("itl", "itl"), ("e2e", "e2el")):
        fields |= _statistics(measured.latency_s(name), field)
    lag_s = np.array([record.client_lag_s for record in measured.records])
    return fields | {
        "slo_attainment": measured.slo_attainment if measured.limits else None,
        "quality": None if quality is None else quality._asdict(),
        "model_shares": measured.shares,
        "failures": measured.reasons,
        "p50_client_lag_ms": float(np.percentile(lag_s, 50)) * 1e3,
        "p99_client_lag_ms": float(np.percentile(lag_s, 99)) * 1e3,
        "max_client_lag_ms": float(lag_s.max()) * 1e3,
    }


def detailed_results(measured: Measured) -> dict[str, Any]:
    """vLLM's lists with an entry a request, in order of arrival; times in seconds.

    A failed request has 0 where vLLM has 0 for it, and its reason in `errors`.
    """
    records = measured.records
    return {
        "input_lens": [record.input_tokens for record in records],
        "output_lens": [record.output_tokens if record.ok else 0 for record in records],
        "ttfts": [record.ttft_s or 0.0 for record in records],
        "itls": [list(record.itl_s) for record in records],
        "start_times": [record.sent_s for record in records],
        "errors": [record.error for record in records],
    }


def _statistics(values_s: Floats, field: str) -> dict[str, float | None]:
    """Mean, median, standard deviation and percentiles in ms; None without values."""
    names = [*("mean", "median", "std"), *(f"p{percentile}" for percentile in PERCENTILES)]
    if len(values_s) == 0:
        return dict.fromkeys(f"{name}_{field}_ms" for name in names)
    centre = [values_s.mean(), np.median(values_s), values_s.std()]
    found = [*centre, *np.percentile(values_s, PERCENTILES)]
    return {
        f"{name}_{field}_ms": float(value) * 1e3 for name, value in zip(names, found, strict=True)
    }


def _peak_tokens_per_s(records: Sequence[Record]) -> float:
    """Most chunks with content in one second, in seconds from the first of them."""
    times = [
        record.sent_s + record.ttft_s + np.cumsum([0.0, *record.itl_s])
        for record in records
        if record.ttft_s is not None
    ]
    if not times:
        return 0.0
    at_s = np.concatenate(times)
    return float(np.bincount((at_s - at_s.min()).astype(np.int64)).max())


def _peak_concurrency(records: Sequence[Record]) -> int:
    """Most requests under way at once, failed ones among them."""
    starts = np.array([record.sent_s for record in records])
    ends = starts + [record.e2e_s for record in records]
    # One that ends as another begins makes place for it.
    steps = np.concatenate([-np.ones(len(ends)), np.ones(len(starts))])
    order = np.argsort(np.concatenate([ends, starts]), kind="stable")
    return int(np.cumsum(steps[order]).max())
