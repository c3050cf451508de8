from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from boute.metrics import LATENCIES, METRICS, MIGRATION, STATISTICS, latency_metric
from boute.outcome import Latency, Outcome

LATENCY = {"mean": 1.0, "p50": 2.0, "p90": 3.0, "p95": 4.0, "p99": 5.0}
FIELDS: dict[str, Any] = {
    "requests": 10,
    "failed": 0,
    "duration_s": 60.0,
    "quality": 0.7,
    "quality_low": 0.6,
    "quality_high": 0.8,
    "ttft": LATENCY,
    "tpot": {name: value / 100 for name, value in LATENCY.items()},
    "e2e": {name: value * 10 for name, value in LATENCY.items()},
    "queue": {name: value / 10 for name, value in LATENCY.items()},
    "goodput_per_s": 0.15,
    "slo_attainment": 0.9,
    "utilisation": 0.4,
    "preemptions": 0,
    "cost_per_hour": 12.0,
    "cost_per_million_tokens": 3.0,
    "energy_j_per_token": 0.2,
    "latency_error": 0.1,
    "verdict": "stable",
    "pools": [],
}


def test_every_metric_has_a_value() -> None:
    outcome = Outcome.model_validate(FIELDS | {"moved_gpus": 3, "migration_s": 41.0})
    for metric in METRICS:
        assert isinstance(outcome.value(metric), float)
    assert outcome.values() == {metric: outcome.value(metric) for metric in METRICS}
    for latency in LATENCIES:
        for statistic in STATISTICS:
            value = outcome.value(latency_metric(latency, statistic))
            assert value == FIELDS[latency][statistic]
    assert outcome.value("cost_per_hour") == 12.0


def test_where_it_is_not_known_what_runs_there_is_nothing_to_migrate_from() -> None:
    outcome = Outcome.model_validate(FIELDS)
    assert set(outcome.values()) == set(METRICS) - set(MIGRATION)
    for metric in MIGRATION:
        with pytest.raises(KeyError):
            outcome.value(metric)


@pytest.mark.parametrize("name", ["requests", "verdict", "ttft", "ttft_p95", "e2e_p95_ms", ""])
def test_what_is_no_metric_has_no_value(name: str) -> None:
    with pytest.raises(KeyError):
        Outcome.model_validate(FIELDS).value(name)


@pytest.mark.parametrize(
    "change",
    [
        {"quality": 1.01},
        {"slo_attainment": -0.1},
        {"verdict": "fine"},
        {"cost_per_hour": float("nan")},
        {"cost_per_million_tokens": float("inf")},
        {"ttft": LATENCY | {"p95": -1.0}},
        {"ttft": {"mean": 1.0}},
        {"tpot_p95_s": 1.0},
    ],
)
def test_an_outcome_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Outcome.model_validate(FIELDS | change)


ROBUSTNESS: dict[str, Any] = {
    "resamples": 19,
    "confidence": 0.9,
    "intervals": {"quality": [0.65, 0.75], "ttft_p95_s": [3.0, 7.0]},
    "unstable": 0.0,
    "keeps_targets": 0.95,
}


def test_the_pessimistic_end_of_an_interval_is_the_worse_one() -> None:
    outcome = Outcome.model_validate(FIELDS | {"robustness": ROBUSTNESS})
    assert outcome.pessimistic("quality") == 0.65
    assert outcome.pessimistic("ttft_p95_s") == 7.0
    assert outcome.interval("ttft_p95_s") == (3.0, 7.0)


def test_without_an_interval_the_value_is_all_that_is_known() -> None:
    for data in (FIELDS, FIELDS | {"robustness": ROBUSTNESS}):
        outcome = Outcome.model_validate(data)
        assert outcome.interval("e2e_p95_s") == (40.0, 40.0)
        assert outcome.pessimistic("e2e_p95_s") == 40.0
    with pytest.raises(KeyError):
        outcome.pessimistic("speed")


@pytest.mark.parametrize("robustness", [None, ROBUSTNESS])
def test_an_outcome_survives_json(robustness: Any) -> None:
    outcome = Outcome.model_validate(FIELDS | {"robustness": robustness})
    assert Outcome.model_validate_json(outcome.model_dump_json()) == outcome


def test_an_outcome_is_frozen() -> None:
    latency = Latency.model_validate(LATENCY)
    with pytest.raises(ValidationError):
        latency.p95 = 0.0  # type: ignore[misc]
