"""Names of what plans are judged by, and which way each is better.

A latency metric is `{ttft,tpot,e2e,queue}_{p50,p90,p95,p99,mean}_s`. Specs name metrics in
`objectives` and (with a limit) in `targets`; outcomes carry a value for each.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LATENCIES", "METRICS", "STATISTICS", "is_maximised", "latency_metric"]

LATENCIES: Final = ("ttft", "tpot", "e2e", "queue")
STATISTICS: Final = ("mean", "p50", "p90", "p95", "p99")
_MAXIMISED: Final = ("quality", "goodput_per_s", "slo_attainment")
_MINIMISED: Final = ("cost_per_hour", "cost_per_million_tokens", "energy_j_per_token")


def latency_metric(latency: str, statistic: str) -> str:
    """Name of a latency metric, `ttft` and `p95` to `ttft_p95_s`."""
    return f"{latency}_{statistic}_s"


METRICS: Final = (
    _MAXIMISED
    + _MINIMISED
    + tuple(latency_metric(latency, stat) for latency in LATENCIES for stat in STATISTICS)
)


def is_maximised(metric: str) -> bool:
    """Whether more of the metric is better."""
    return metric in _MAXIMISED
