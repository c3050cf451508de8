from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from boute.deployments.emit.dashboard import dashboard
from boute.deployments.metrics import IngressMetrics

PANELS = dashboard()["panels"]


def expressions() -> Iterator[str]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"]


def exported() -> dict[str, set[str]]:
    """Names of the samples that the ingress exports, with the labels that they may have."""
    metrics = IngressMetrics()
    found = {}
    for family in metrics._registry.collect():
        found[family.name] = family.type
    metric_of = {
        collector._name: set(collector._labelnames)  # type: ignore[attr-defined]
        for collector in metrics._registry._collector_to_names
    }
    names: dict[str, set[str]] = {}
    for name, labels in metric_of.items():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        for suffix in suffixes.get(found[name], [""]):
            names[name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return names


@pytest.mark.parametrize("expression", list(expressions()))
def test_every_metric_and_label_is_one_that_is_exported(expression: str) -> None:
    names = exported()
    used = re.findall(r"\b(boute_\w+)(?:\{([^}]*)\})?", expression)
    assert used
    grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
    for name, matchers in used:
        assert name in names
        assert set(re.findall(r"(\w+)=", matchers)) <= names[name]
    assert grouped <= set().union(*(names[name] for name, _ in used))


@pytest.mark.parametrize("expression", list(expressions()))
def test_every_expression_is_balanced(expression: str) -> None:
    bare = re.sub(r'"[^"]*"', '""', expression)
    for pair in ("()", "{}", "[]"):
        assert bare.count(pair[0]) == bare.count(pair[1])
    assert bare.count('"') % 2 == 0


def test_the_panels_have_what_grafana_wants() -> None:
    places = set()
    for panel in PANELS:
        grid = panel["gridPos"]
        assert 0 <= grid["x"] <= 24 - grid["w"]
        places.add((grid["x"], grid["y"]))
        assert {"id", "type", "title", "datasource", "fieldConfig", "targets"} <= panel.keys()
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert len(places) == len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert isinstance(dashboard()["schemaVersion"], int)


def test_all_that_operators_ask_for_is_shown() -> None:
    text = " ".join(expressions())
    for name in (
        "time_to_first_token",
        "request_time_per_output_token",
        "e2e_request_latency",
        "goodput",
        "quality_estimate",
        "cost_per_hour",
        "fallback",
        "refused",
    ):
        assert f"boute_{name}" in text
    assert "histogram_quantile(0.95" in text
    assert "by (model) (rate(boute_request_success_total" in text


@pytest.mark.parametrize("target", ["ray", "kuberay", "compose"])
def test_every_target_has_the_dashboard_and_the_scrape_config(
    plan_file: Callable[..., Path], one_machine: Any, emitted: Any, target: str
) -> None:
    files = emitted(plan_file(one_machine), target)
    assert json.loads(files["grafana/boute.json"].read_text()) == dashboard()
    (job,) = yaml.safe_load(files["prometheus.yml"].read_text())["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert ("kubernetes_sd_configs" in job) is (target == "kuberay")


def test_prometheus_reads_what_is_exported() -> None:
    text = IngressMetrics().text().decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    assert "boute_score" in families
