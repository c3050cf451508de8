"""Prometheus' scrape config and a Grafana dashboard of what the ingress exports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["dashboard", "scrape_config", "scrape_config_in_kubernetes"]

_WIDTH: Final = 8
_HEIGHT: Final = 8
_COLUMNS: Final = 3
_PLAN: Final = 'plan=~"$plan"'
_RATE: Final = "[$__rate_interval]"

Target = tuple[str, str]
Panel = tuple[str, str, list[Target]]
"""Title, unit in Grafana's names, and expressions with their legends."""


def scrape_config(target: str) -> dict[str, Any]:
    """prometheus.yml for an ingress at `target`, a host and a port."""
    return _scrape({"static_configs": [{"targets": [target]}]})


def scrape_config_in_kubernetes(labels: Mapping[str, str], port: int) -> dict[str, Any]:
    """prometheus.yml for the clusters of a RayService, whose heads are the pods with `labels`.

    Every node passes requests on to the same ingress, so the head of each cluster is asked alone:
    with all of them each request would be counted as often as there are nodes.
    """
    # Prometheus makes a name of a label's: what is no letter, digit or underscore becomes one.
    kept = {
        f"__meta_kubernetes_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', label)}": value
        for label, value in labels.items()
    }
    kept["__meta_kubernetes_pod_container_port_number"] = str(port)
    return _scrape(
        {
            "kubernetes_sd_configs": [{"role": "pod"}],
            "relabel_configs": [
                {"source_labels": [name], "regex": value, "action": "keep"}
                for name, value in kept.items()
            ],
        }
    )


def _scrape(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "15s"},
        "scrape_configs": [{"job_name": "boute", "metrics_path": "/metrics", **found}],
    }


def dashboard() -> dict[str, Any]:
    """The dashboard in Grafana's JSON model, to import or to provision."""
    panels = [
        _panel(number, title, unit, targets)
        for number, (title, unit, targets) in enumerate(_panels())
    ]
    return {
        "uid": "boute",
        "title": "boute",
        "tags": ["boute", "llm"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [_source(), _plans()]},
        "annotations": {"list": []},
        "panels": panels,
    }


def _panels() -> list[Panel]:
    return [*_answers(), *_use(), *_detours(), *_choices()]


def _answers() -> list[Panel]:
    """How fast answers are, and whose they are."""
    success = _rate("boute_request_success_total")
    missed = _rate("boute_request_failure_total", 'outcome=~"engine_error|timeout"')
    served = f"(sum({success}) + sum({missed}))"
    return [
        ("Time to first token", "s", _quantiles("boute_time_to_first_token_seconds")),
        (
            "Time per output token",
            "s",
            _quantiles("boute_request_time_per_output_token_seconds"),
        ),
        ("End-to-end latency", "s", _quantiles("boute_e2e_request_latency_seconds")),
        (
            "Goodput: requests within the plan's SLOs",
            "percentunit",
            [(f"sum({_rate('boute_goodput_total')}) / {served}", "share")],
        ),
        (
            "Share of requests by model",
            "percentunit",
            [(f"sum by (model) ({success}) / scalar(sum({success}))", "{{model}}")],
        ),
        ("Requests", "reqps", [(f"sum by (pool) ({success})", "{{pool}}")]),
    ]


def _use() -> list[Panel]:
    """What the fleet is worth, costs and does."""
    cost = f"boute_cost_per_hour{{{_PLAN}}}"
    return [
        (
            "Expected quality",
            "percentunit",
            [(f"max by (plan) (boute_quality_estimate{{{_PLAN}}})", "{{plan}}")],
        ),
        (
            "Cost per hour",
            "currencyUSD",
            [
                (f"max by (pool) ({cost})", "{{pool}}"),
                (f"sum(max by (pool) ({cost}))", "all pools"),
            ],
        ),
        (
            "Requests under way",
            "short",
            [(f"sum by (pool) (boute_num_requests_running{{{_PLAN}}})", "{{pool}}")],
        ),
        (
            "Tokens",
            "short",
            [
                (f"sum({_rate('boute_prompt_tokens_total')})", "prompt tokens/s"),
                (f"sum({_rate('boute_generation_tokens_total')})", "generated tokens/s"),
            ],
        ),
    ]


def _detours() -> list[Panel]:
    """What was asked of another model, or went wrong."""
    failure = _rate("boute_request_failure_total")
    return [
        (
            "Fallbacks",
            "reqps",
            [
                (
                    f"sum by (from_pool, to_pool) ({_rate('boute_fallback_total')})",
                    "{{from_pool}} to {{to_pool}}",
                )
            ],
        ),
        (
            "Escalations of a cascade",
            "reqps",
            [
                (
                    f"sum by (model, reason) ({_rate('boute_escalation_total')})",
                    "{{model}}: {{reason}}",
                )
            ],
        ),
        (
            "Confidence of the answers checked",
            "percentunit",
            _quantiles("boute_confidence", quantiles=(0.25, 0.5, 0.75)),
        ),
        (
            "Refused and failed",
            "reqps",
            [
                (f"sum by (reason) (rate(boute_refused_total{_RATE}))", "{{reason}}"),
                (f"sum by (outcome) ({failure})", "{{outcome}}"),
            ],
        ),
    ]


def _choices() -> list[Panel]:
    """What the router sees, and how long it takes."""
    return [
        (
            "Score of the queries",
            "short",
            _quantiles("boute_score", by="", quantiles=(0.25, 0.5, 0.75)),
        ),
        (
            "Time to choose a model",
            "s",
            _quantiles("boute_routing_seconds", by="", quantiles=(0.5, 0.99)),
        ),
    ]


def _rate(metric: str, *matchers: str) -> str:
    return f"rate({metric}{{{','.join([_PLAN, *matchers])}}}{_RATE})"


def _quantiles(
    metric: str, *, by: str = "model", quantiles: tuple[float, ...] = (0.5, 0.95)
) -> list[Target]:
    labels, legend = (f"le, {by}", f"{{{{{by}}}}} ") if by else ("le", "")
    return [
        (
            f"histogram_quantile({q:g}, sum by ({labels}) ({_rate(f'{metric}_bucket')}))",
            f"{legend}P{100 * q:.0f}",
        )
        for q in quantiles
    ]


def _panel(number: int, title: str, unit: str, targets: list[Target]) -> dict[str, Any]:
    row, column = divmod(number, _COLUMNS)
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": source,
                "expr": expression,
                "legendFormat": legend,
            }
            for index, (expression, legend) in enumerate(targets)
        ],
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _plans() -> dict[str, Any]:
    query = "label_values(boute_quality_estimate, plan)"
    return {
        "name": "plan",
        "label": "Plan",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "query": {"query": query, "refId": "plan"},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
