"""A replay as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from boute.bench.compare import Comparison
from boute.bench.results import PERCENTILES, Measured
from boute.plan.words import metric_label, metric_text, number_text, seconds_text

__all__ = ["comparison_table", "measured_tables"]

_LATENCIES = {
    "ttft": "Time to first token",
    "tpot": "Time per output token",
    "itl": "Between chunks",
    "e2e": "End to end",
}


def measured_tables(measured: Measured) -> list[Table | Text]:
    """What a replay measured: counts and rates, latencies, models, failures."""
    parts: list[Table | Text] = [_head(measured), Text(), _latencies(measured)]
    if len(measured.shares) > 1:
        parts += [Text(), _shares(measured)]
    if measured.reasons:
        parts += [Text(), _failures(measured)]
    return parts


def comparison_table(rows: Sequence[Comparison]) -> Table:
    """Predicted and measured side by side, with the error of the prediction."""
    table = _table("Measured next to predicted", "", "Predicted", "Measured", "Error")
    for row in rows:
        error = "" if row.error is None else f"{row.error:+.1%}"
        if row.is_share and error:
            error = f"{(row.error or 0.0) * 100:+.1f} points"
        values = (_value(row.metric, row.predicted), _value(row.metric, row.measured))
        table.add_row(_label(row.metric), *values, error)
    return table


def _head(measured: Measured) -> Text:
    count, answered = len(measured.records), len(measured.answered)
    lag_s = float(np.percentile([record.client_lag_s for record in measured.records], 99))
    lines = [
        f"{answered} of {count} requests answered in {measured.duration_s:.1f} s: "
        f"{number_text(answered / measured.duration_s)} requests/s, "
        f"{number_text(measured.output_tokens_per_s)} output tokens/s"
    ]
    if measured.limits:
        lines.append(
            f"goodput {number_text(measured.goodput_per_s)} requests/s: "
            f"{measured.slo_attainment:.1%} of all requests within the limits"
        )
    if (quality := measured.quality) is not None:
        lines.append(f"quality {quality.mean:.3f} ({quality.low:.3f} to {quality.high:.3f})")
    lines.append(f"client late by {seconds_text(lag_s)} at P99")
    return Text("\n".join(lines))


def _latencies(measured: Measured) -> Table:
    names = ("Mean", *(f"P{percentile}" for percentile in PERCENTILES))
    table = _table("Measured latency", "", *names)
    for name, label in _LATENCIES.items():
        values_s = measured.latency_s(name)
        if len(values_s):
            found = [values_s.mean(), *np.percentile(values_s, PERCENTILES)]
            table.add_row(label, *(seconds_text(float(value)) for value in found))
    return table


def _shares(measured: Measured) -> Table:
    table = _table("Models", "Model", "Share")
    for model, share in measured.shares.items():
        table.add_row(model or "(not told)", f"{share:.1%}")
    return table


def _failures(measured: Measured) -> Table:
    table = _table("Failures", "Reason", "Requests", "First")
    table.columns[-1].justify = "left"
    for reason, count in measured.reasons.items():
        first = next(record.error for record in measured.records if record.reason == reason)
        table.add_row(reason, str(count), first.removeprefix(reason).removeprefix(": "))
    return table


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=Text(title, "bold"), title_justify="left", box=None, pad_edge=False)
    table.add_column(first, header_style="dim")
    for name in numbers:
        table.add_column(name, justify="right", header_style="dim")
    return table


def _label(metric: str) -> str:
    if metric == "output_tokens_per_s":
        return "Output tokens/s"
    if metric.startswith("share "):
        return f"Share of {metric.removeprefix('share ')}"
    return metric_label(metric)


def _value(metric: str, value: float) -> str:
    if metric == "output_tokens_per_s":
        return number_text(value)
    return f"{value:.1%}" if metric.startswith("share ") else metric_text(metric, value)
