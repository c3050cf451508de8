"""Names of what plans are judged by, and which way each is better.

A latency metric is `{ttft,tpot,e2e,queue}_{p50,p90,p95,p99,mean}_s`. Specs name metrics in
`objectives` and (with a limit) in `targets`; outcomes carry a value for each, those of MIGRATION
where it is known which fleet runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = [
    "EXACT",
    "LATENCIES",
    "METRICS",
    "MIGRATION",
    "STATISTICS",
    "is_maximised",
    "latency_metric",
    "tpot_s",
    "within_limits",
]

LATENCIES: Final = ("ttft", "tpot", "e2e", "queue")
STATISTICS: Final = ("mean", "p50", "p90", "p95", "p99")
_MAXIMISED: Final = ("quality", "goodput_per_s", "slo_attainment")
_MINIMISED: Final = ("cost_per_hour", "cost_per_million_tokens", "energy_j_per_token")

MIGRATION: Final = ("moved_gpus", "migration_s")
"""What it costs to go from the fleet that runs to another; less is better."""

EXACT: Final = ("quality", "cost_per_hour", *MIGRATION)
"""Known of a plan before it is simulated."""


def latency_metric(latency: str, statistic: str) -> str:
    """Name of a latency metric, `ttft` and `p95` to `ttft_p95_s`."""
    return f"{latency}_{statistic}_s"


METRICS: Final = (
    _MAXIMISED
    + _MINIMISED
    + MIGRATION
    + tuple(latency_metric(latency, stat) for latency in LATENCIES for stat in STATISTICS)
)


def tpot_s(ttft_s: float | None, e2e_s: float, output_tokens: int | None) -> float | None:
    """Time per output token after the first, in seconds; None where it was not seen or is none."""
    if ttft_s is None or output_tokens is None or output_tokens < 2:
        return None
    return (e2e_s - ttft_s) / (output_tokens - 1)


def within_limits(seen: Mapping[str, float | None], limits: Mapping[str, float]) -> bool:
    """Whether a request's latencies are within limits, both in seconds by name.

    A limit on what was not seen is not held against it: an answer of one token has no TPOT.
    """
    return all((seen[name] or 0.0) <= limit for name, limit in limits.items())


def is_maximised(metric: str) -> bool:
    """Whether more of the metric is better."""
    return metric in _MAXIMISED
