"""Shipped presets give back what their source measured."""

from pathlib import Path

import numpy as np
import pytest

from boute.documents import check_document
from boute.errors import DataError
from boute.workload.arrays import Trace
from boute.workload.presets import Preset, draw_preset, load_preset, preset_names
from boute.workload.readers import read_trace
from boute.workload.statistics import Statistics, describe

# Relative, between the source and the median of nine draws. The tails of the lengths and the
# bursts rest on few requests of the source.
TOLERANCE = {
    "requests": 0.05,
    "rate_per_s": 0.05,
    "interarrival_cv": 0.12,
    "dispersion_10s": 0.25,
    "input_tokens_mean": 0.03,
    "input_tokens_p50": 0.03,
    "input_tokens_p95": 0.05,
    "input_tokens_p99": 0.08,
    "output_tokens_mean": 0.05,
    "output_tokens_p50": 0.05,
    "output_tokens_p95": 0.05,
    "output_tokens_p99": 0.10,
}


def medians(preset: Preset) -> dict[str, float]:
    drawn = [describe(draw_preset(preset, np.random.default_rng(seed))) for seed in range(9)]
    return {
        key: float(np.median([getattr(one, key) for one in drawn])) for key in drawn[0].model_dump()
    }


def compare(drawn: dict[str, float], measured: Statistics) -> None:
    for key, tolerance in TOLERANCE.items():
        assert drawn[key] == pytest.approx(getattr(measured, key), rel=tolerance), key
    assert drawn["rank_correlation"] == pytest.approx(measured.rank_correlation, abs=0.02)


def test_the_names_are_those_of_the_files() -> None:
    assert {"azure-code", "azure-conversation"} <= set(preset_names())
    for name in preset_names():
        assert load_preset(name).name == name


@pytest.mark.parametrize("name", ["azure-code", "azure-conversation", "servegen-reasoning"])
def test_a_draw_matches_the_published_figures(name: str) -> None:
    preset = load_preset(name)
    compare(medians(preset), preset.measured)


@pytest.mark.parametrize(("name", "file"), [("azure-code", "code"), ("azure-conversation", "conv")])
def test_a_draw_matches_the_real_trace(azure_folder: Path, name: str, file: str) -> None:
    trace = read_trace(azure_folder / f"AzureLLMInferenceTrace_{file}.csv")
    measured = describe(trace)
    preset = load_preset(name)
    compare(medians(preset), measured)
    for key, value in preset.measured.model_dump().items():
        assert value == pytest.approx(getattr(measured, key), rel=1e-5), key


def test_same_seed_same_bytes() -> None:
    preset = load_preset("azure-conversation")
    a, b = (draw_preset(preset, np.random.default_rng(9)) for _ in range(2))
    for column in ("arrival_s", "input_tokens", "output_tokens"):
        assert getattr(a, column).tobytes() == getattr(b, column).tobytes()


@pytest.mark.parametrize("scale", [0.25, 4.0])
def test_the_rate_scales_and_the_duration_stays(scale: float) -> None:
    preset = load_preset("azure-conversation")
    trace = draw_preset(preset, np.random.default_rng(0), rate_scale=scale)
    assert trace.duration_s == preset.duration_s
    assert trace.rate_per_s == pytest.approx(scale * preset.rate_per_s, rel=0.06)
    # The day's shape is kept: counts by tenths of the duration follow the profile's.
    counts = np.histogram(trace.arrival_s, np.linspace(0, preset.duration_s, 11))[0]
    base = draw_preset(preset, np.random.default_rng(1))
    usual = np.histogram(base.arrival_s, np.linspace(0, preset.duration_s, 11))[0]
    np.testing.assert_allclose(counts / counts.sum(), usual / usual.sum(), atol=0.02)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean azure-code or azure-conversation"):
        load_preset("azure")


def test_rates_out_of_reason_are_refused() -> None:
    preset = load_preset("azure-code")
    with pytest.raises(DataError, match=r"workload\.rate_scale: would make"):
        draw_preset(preset, np.random.default_rng(0), rate_scale=1e9)
    with pytest.raises(DataError, match=r"workload\.rate_scale: azure-code makes no request"):
        draw_preset(preset, np.random.default_rng(0), rate_scale=1e-9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"probabilities": [0.0, 0.5, 0.4, 1.0]}, "probabilities should ascend"),
        ({"gaps": [0.0, 1.0]}, "a table should ascend"),
        ({"rate_profile": [1.0]}, "rate_profile should have a value"),
    ],
)
def test_a_damaged_preset_is_refused(change: dict[str, object], says: str) -> None:
    data = load_preset("azure-code").model_dump() | change
    with pytest.raises(DataError, match=says):
        check_document(data, Preset, where="preset.yaml", error=DataError)


def test_statistics_of_a_trace_worked_by_hand() -> None:
    trace = Trace(
        "hand",
        np.array([0.0, 1.0, 4.0, 25.0]),
        np.array([1, 2, 3, 4]),
        np.array([8, 6, 4, 2]),
        40.0,
    )
    found = describe(trace)
    gaps = np.array([1.0, 3.0, 21.0])
    assert found.rate_per_s == pytest.approx(0.1)
    assert found.interarrival_cv == pytest.approx(gaps.std() / gaps.mean())
    assert found.rank_correlation == pytest.approx(-1.0)
    assert found.input_tokens_p50 == 2.5
    counts = np.array([3, 0, 1, 0])
    assert found.dispersion_10s == pytest.approx(counts.var() / counts.mean())
