from __future__ import annotations

import ast
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from boute.deployments.live import LiveConfig, LivePool
from boute.deployments.metrics import IngressMetrics
from boute.deployments.record import Discarded, RequestRecord
from boute.plan.model import Routing

POOLS = [("small", "small-l4"), ("large", "large-h100")]


def live(plan: str = "plan-01", **changes: Any) -> LiveConfig:
    pools = [
        LivePool(name=pool, model=model, weight=1.0, gpu="l4", price_per_hour=2.0)
        for model, pool in POOLS
    ]
    routing = Routing(models=["small", "large"], fractions=[0.5, 0.5], thresholds=[0.5])
    config = LiveConfig(
        plan=plan,
        plan_hash="",
        fleet_hash="",
        routing=routing,
        router_folder=None,
        pools=pools,
        quality=0.75,
        request_limits={"ttft": 1.0, "e2e": 3.0},
    )
    return config.model_copy(update=changes)


def values(metrics: IngressMetrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each sample by its name and labels, those that are empty left out as Prometheus does."""
    return {
        (sample.name, frozenset((k, v) for k, v in sample.labels.items() if v)): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def value(metrics: IngressMetrics, name: str, **labels: str) -> float | None:
    return values(metrics).get((name, frozenset(labels.items())))


@pytest.fixture
def metrics() -> IngressMetrics:
    made = IngressMetrics()
    made.reconfigure(live())
    return made


SMALL = {"model": "small", "pool": "small-l4", "plan": "plan-01"}
LARGE = {"model": "large", "pool": "large-h100", "plan": "plan-01"}


def test_a_request_that_is_answered(record: RequestRecord, metrics: IngressMetrics) -> None:
    metrics.routed("plan-01", 0.3, 1e-4)
    metrics.started(**SMALL)
    assert value(metrics, "boute_num_requests_running", **SMALL) == 1
    metrics.first_token(**SMALL, ttft_s=0.5)
    metrics.finished(record)
    expected = {
        "boute_num_requests_running": 0,
        "boute_time_to_first_token_seconds_sum": 0.5,
        "boute_request_time_per_output_token_seconds_sum": 0.5,
        "boute_e2e_request_latency_seconds_sum": 2.5,
        "boute_request_success_total": 1,
        "boute_goodput_total": 1,
        "boute_prompt_tokens_total": 10,
        "boute_generation_tokens_total": 5,
    }
    assert {name: value(metrics, name, **SMALL) for name in expected} == expected
    assert value(metrics, "boute_score_sum", plan="plan-01") == 0.3
    assert value(metrics, "boute_routing_seconds_count", plan="plan-01") == 1


def test_a_request_too_slow_for_the_plan_is_no_goodput(
    record: RequestRecord, metrics: IngressMetrics
) -> None:
    metrics.started(**SMALL)
    metrics.finished(replace(record, e2e_s=3.5))
    assert value(metrics, "boute_request_success_total", **SMALL) == 1
    assert value(metrics, "boute_goodput_total", **SMALL) == 0


@pytest.mark.parametrize("outcome", ["client_error", "engine_error", "timeout", "cancelled"])
def test_a_request_that_fails(record: RequestRecord, metrics: IngressMetrics, outcome: Any) -> None:
    metrics.started(**SMALL)
    metrics.finished(replace(record, outcome=outcome))
    assert value(metrics, "boute_request_failure_total", **SMALL, outcome=outcome) == 1
    assert value(metrics, "boute_request_success_total", **SMALL) == 0
    assert value(metrics, "boute_e2e_request_latency_seconds_count", **SMALL) == 0
    assert value(metrics, "boute_num_requests_running", **SMALL) == 0


def test_a_request_that_falls_back_runs_in_one_pool_at_a_time(
    record: RequestRecord, metrics: IngressMetrics
) -> None:
    metrics.started(**SMALL)
    metrics.fallback("small-l4", "large-h100", "plan-01")
    assert value(metrics, "boute_num_requests_running", **SMALL) == 0
    assert value(metrics, "boute_num_requests_running", **LARGE) == 1
    metrics.finished(replace(record, model="large", pool="large-h100"))
    assert value(metrics, "boute_num_requests_running", **LARGE) == 0
    moved = {"from_pool": "small-l4", "to_pool": "large-h100", "plan": "plan-01"}
    assert value(metrics, "boute_fallback_total", **moved) == 1


def test_a_request_of_a_cascade_runs_in_one_pool_at_a_time(
    record: RequestRecord, metrics: IngressMetrics
) -> None:
    cascade = {"policy": "cascade", "thresholds": [0.5], "loads": [1.0, 0.5]}
    metrics.reconfigure(live(routing=live().routing.model_copy(update=cascade)))
    unsure = {"model": "small", "plan": "plan-01", "reason": "unsure"}
    assert value(metrics, "boute_escalation_total", **unsure) == 0
    metrics.started(**SMALL)
    metrics.escalated(**SMALL, reason="unsure")
    metrics.started(**LARGE)
    discarded = (Discarded("small", "small-l4", 10, 7, 0.2),)
    metrics.finished(replace(record, model="large", pool="large-h100", discarded=discarded))
    assert value(metrics, "boute_escalation_total", **unsure) == 1
    assert value(metrics, "boute_discarded_tokens_total", **SMALL) == 7
    assert value(metrics, "boute_confidence_sum", model="small", plan="plan-01") == 0.2
    assert value(metrics, "boute_confidence_sum", model="large", plan="plan-01") is None
    for pool in (SMALL, LARGE):
        assert value(metrics, "boute_num_requests_running", **pool) == 0
    assert value(metrics, "boute_generation_tokens_total", **SMALL) == 0
    metrics.finished(replace(record, confidence=0.75))
    assert value(metrics, "boute_confidence_sum", model="small", plan="plan-01") == 0.95


def test_what_had_no_pool_is_counted_as_refused_alone(
    record: RequestRecord, metrics: IngressMetrics
) -> None:
    before = values(metrics)
    metrics.finished(replace(record, model=None, pool=None, outcome="refused", status=429))
    assert values(metrics) == before
    metrics.refused("key_rate")
    assert value(metrics, "boute_refused_total", reason="key_rate") == 1


def test_another_plan_replaces_the_gauges_and_keeps_the_counters(
    record: RequestRecord, metrics: IngressMetrics
) -> None:
    metrics.started(**SMALL)
    metrics.reconfigure(live("plan-02", quality=0.9))
    metrics.finished(record)
    assert value(metrics, "boute_request_success_total", **SMALL) == 1
    assert value(metrics, "boute_num_requests_running", **SMALL) == 0
    assert value(metrics, "boute_quality_estimate", plan="plan-01") is None
    assert value(metrics, "boute_quality_estimate", plan="plan-02") == 0.9
    costs = {labels for name, labels in values(metrics) if name == "boute_cost_per_hour"}
    assert costs == {
        frozenset({"model": model, "pool": pool, "plan": "plan-02"}.items())
        for model, pool in POOLS
    }


def test_series_are_there_before_the_first_request(metrics: IngressMetrics) -> None:
    assert value(metrics, "boute_request_success_total", **LARGE) == 0
    assert value(metrics, "boute_request_failure_total", **LARGE, outcome="timeout") == 0


def test_replicas_of_the_ingress_are_told_apart() -> None:
    metrics = IngressMetrics("r1")
    metrics.reconfigure(live())
    assert value(metrics, "boute_cost_per_hour", **SMALL, replica="r1") == 2.0


def histograms_of_vllm() -> dict[str, list[float]]:
    """Names and buckets of the histograms in the vLLM that is installed, without importing it."""
    found = importlib.util.find_spec("vllm")
    if found is None or found.origin is None:
        pytest.skip("vLLM is not installed")
    source = Path(found.origin).parent / "v1" / "metrics" / "loggers.py"
    tree = ast.parse(source.read_text("utf-8"))
    lists = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    histograms = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = {word.arg: word.value for word in node.keywords}
            buckets = given.get("buckets")
            if isinstance(buckets, ast.Name):
                buckets = lists.get(buckets.id)
            if isinstance(buckets, ast.List):
                histograms[ast.literal_eval(given["name"])] = ast.literal_eval(buckets)
    return histograms


def test_names_and_buckets_are_those_of_vllm(metrics: IngressMetrics) -> None:
    theirs = histograms_of_vllm()
    ours = list(text_string_to_metric_families(metrics.text().decode()))
    shared = ("time_to_first_token", "request_time_per_output_token", "e2e_request_latency")
    for name in shared:
        family = next(one for one in ours if one.name == f"boute_{name}_seconds")
        buckets = [
            float(sample.labels["le"])
            for sample in family.samples
            if sample.name.endswith("_bucket") and sample.labels["pool"] == "small-l4"
        ]
        assert buckets == [*theirs[f"vllm:{name}_seconds"], float("inf")]
