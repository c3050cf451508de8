"""Metrics, values and pools in plain words with units, for all that a person reads.

Files that a program reads carry metric names and plain numbers instead.
"""

from __future__ import annotations

from typing import Final

from boute.metrics import is_maximised
from boute.plan.model import Pool

__all__ = [
    "change_text",
    "interval_text",
    "metric_label",
    "metric_short",
    "metric_text",
    "moved_text",
    "number_text",
    "pool_text",
    "replica_text",
    "seconds_text",
]

_LATENCY_LABELS: Final = {
    "ttft": "time to first token",
    "tpot": "time per output token",
    "e2e": "end-to-end latency",
    "queue": "time in the queue",
}
_LATENCY_SHORT: Final = {"ttft": "TTFT", "tpot": "TPOT", "e2e": "E2E", "queue": "queue"}
_LABELS: Final = {
    "quality": "Quality",
    "goodput_per_s": "Goodput",
    "slo_attainment": "Requests within targets",
    "cost_per_hour": "Cost",
    "cost_per_million_tokens": "Token cost",
    "energy_j_per_token": "Energy",
    "moved_gpus": "GPUs that change hands",
    "migration_s": "Time until the fleet is whole",
}
_SHORT: Final = {
    "quality": "Quality",
    "goodput_per_s": "Goodput/s",
    "slo_attainment": "In targets",
    "cost_per_hour": "$ per hour",
    "cost_per_million_tokens": "$ per M tokens",
    "energy_j_per_token": "J per token",
    "moved_gpus": "GPUs moved",
    "migration_s": "Whole in",
}
_FORMATS: Final = {
    "quality": "{:.3f}",
    "slo_attainment": "{:.1%}",
    "cost_per_hour": "${:,.2f} per hour",
    "cost_per_million_tokens": "${:,.2f} per million tokens",
    "moved_gpus": "{:,.0f}",
}
_UNITS: Final = {"goodput_per_s": "requests/s", "energy_j_per_token": "J per token"}


def metric_label(metric: str) -> str:
    """A metric spelled out: `e2e_p95_s` to `P95 end-to-end latency`."""
    if metric in _LABELS:
        return _LABELS[metric]
    latency, statistic, _ = metric.split("_")
    return f"{statistic.capitalize()} {_LATENCY_LABELS[latency]}"


def metric_short(metric: str) -> str:
    """A metric for a narrow column: `e2e_p95_s` to `P95 E2E`, `cost_per_hour` to `$ per hour`."""
    if metric in _SHORT:
        return _SHORT[metric]
    latency, statistic, _ = metric.split("_")
    return f"{statistic.capitalize()} {_LATENCY_SHORT[latency]}"


def metric_text(metric: str, value: float) -> str:
    """A metric's value with its unit: 0.712, 310 ms, $12.40 per hour."""
    if metric in _FORMATS:
        return _FORMATS[metric].format(value)
    if metric in _UNITS:
        return f"{number_text(value)} {_UNITS[metric]}"
    return seconds_text(value)


def moved_text(gpus: int) -> str:
    """How far a fleet is from another: `5 GPUs change hands`."""
    return f"{gpus:,} GPUs change hands" if gpus != 1 else "1 GPU changes hands"


def interval_text(metric: str, interval: tuple[float, float]) -> str:
    """The ends of an interval: `0.701 to 0.742`, `$12.40 to $13.10 per hour`."""
    low, high = (metric_text(metric, end) for end in interval)
    number, _, unit = low.partition(" ")
    return f"{number if unit == high.partition(' ')[2] else low} to {high}"


def seconds_text(value: float) -> str:
    """A duration in ms below one second and in s from there."""
    return f"{number_text(value)} s" if abs(value) >= 0.9995 else f"{number_text(value * 1000)} ms"


def number_text(value: float) -> str:
    """A number to three significant digits, whole from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def change_text(metric: str, before: float, after: float) -> str:
    """How a metric moves: `310 ms to 280 ms (-9.7%, better)`."""
    old, new = metric_text(metric, before), metric_text(metric, after)
    if old == new:
        return f"{new} (unchanged)"
    verdict = "better" if (after > before) == is_maximised(metric) else "worse"
    relative = f"{after / before - 1:+.1%}, " if before else ""
    return f"{old} to {new} ({relative}{verdict})"


def replica_text(pool: Pool) -> str:
    """Where one replica of a pool runs: `h100-sxm TP2`."""
    pipeline = f" PP{pool.pipeline_parallel}" if pool.pipeline_parallel > 1 else ""
    return f"{pool.gpu} TP{pool.tensor_parallel}{pipeline}"


def pool_text(pool: Pool) -> str:
    """A pool in short: `2x h100-sxm TP2`."""
    return f"{pool.replicas}x {replica_text(pool)}"
