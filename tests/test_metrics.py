from __future__ import annotations

import pytest

from boute.metrics import LATENCIES, METRICS, STATISTICS, is_maximised, latency_metric


def test_a_latency_metric_tells_latency_statistic_and_unit() -> None:
    assert latency_metric("ttft", "p95") == "ttft_p95_s"
    assert {latency_metric(name, stat) for name in LATENCIES for stat in STATISTICS} <= set(METRICS)


def test_names_differ() -> None:
    assert len(set(METRICS)) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS)
def test_more_is_better_of_quality_and_goodput_only(metric: str) -> None:
    better = {"quality", "goodput_per_s", "slo_attainment"}
    assert is_maximised(metric) == (metric in better)
