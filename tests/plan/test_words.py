from __future__ import annotations

import pytest

from boute.metrics import METRICS
from boute.plan.words import (
    change_text,
    interval_text,
    metric_label,
    metric_short,
    metric_text,
    moved_text,
    number_text,
    seconds_text,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0234, "23.4 ms"),
        (0.31, "310 ms"),
        (0.9996, "1 s"),
        (4.213, "4.21 s"),
        (1234.5, "1,234 s"),
    ],
)
def test_durations_are_in_ms_or_s_as_fits(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(99.96, "100"), (0.5, "0.5"), (12345.6, "12,346"), (-3.14159, "-3.14")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number_text(value) == text


def test_every_metric_has_words_of_its_own() -> None:
    for words in (metric_label, metric_short):
        assert len({words(metric) for metric in METRICS}) == len(METRICS)
    assert metric_label("e2e_p95_s") == "P95 end-to-end latency"
    assert metric_short("queue_mean_s") == "Mean queue"


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("quality", 0.7123, "0.712"),
        ("slo_attainment", 0.981, "98.1%"),
        ("goodput_per_s", 3.94, "3.94 requests/s"),
        ("cost_per_hour", 1234.5, "$1,234.50 per hour"),
        ("cost_per_million_tokens", 0.84, "$0.84 per million tokens"),
        ("energy_j_per_token", 0.412, "0.412 J per token"),
        ("tpot_p50_s", 0.0117, "11.7 ms"),
        ("moved_gpus", 12.0, "12"),
        ("migration_s", 43.3, "43.3 s"),
    ],
)
def test_values_carry_their_units(metric: str, value: float, text: str) -> None:
    assert metric_text(metric, value) == text


def test_moves_are_counted_in_gpus() -> None:
    assert moved_text(1) == "1 GPU changes hands"
    assert moved_text(12) == "12 GPUs change hands"


def test_changes_say_which_way_is_better() -> None:
    assert change_text("quality", 0.5, 0.6) == "0.500 to 0.600 (+20.0%, better)"
    assert change_text("e2e_p95_s", 0.5, 0.6) == "500 ms to 600 ms (+20.0%, worse)"
    assert change_text("e2e_p95_s", 0.0, 0.6) == "0 ms to 600 ms (worse)"
    assert change_text("quality", 0.5, 0.50001) == "0.500 (unchanged)"


@pytest.mark.parametrize(
    ("metric", "interval", "text"),
    [
        ("quality", (0.7012, 0.7424), "0.701 to 0.742"),
        ("ttft_p95_s", (0.31, 0.36), "310 to 360 ms"),
        ("ttft_p95_s", (0.91, 1.6), "910 ms to 1.6 s"),
        ("cost_per_million_tokens", (1.5, 1.75), "$1.50 to $1.75 per million tokens"),
        ("slo_attainment", (0.95, 0.991), "95.0% to 99.1%"),
    ],
)
def test_the_ends_of_an_interval_share_their_unit(
    metric: str, interval: tuple[float, float], text: str
) -> None:
    assert interval_text(metric, interval) == text
