"""Errors are what they say, rows that cannot run are left out, and figures stay as committed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from boute.calibration.predict import Prediction, predict
from boute.calibration.read import read_runs
from boute.calibration.runs import Given, Loaded, Replay, Run
from boute.calibration.summary import Compared, as_json, check, errors_of, worst
from boute.errors import DataError
from boute.performance.closed_loop import Load
from boute.spec.model import Engine

DATA = Path(__file__).parents[3] / "shared/data/aiconfigurator/silicon_sample.csv.gz"
# MAPE of TPOT and TTFT on the rows of vLLM that silicon_sample has of an H100; 0.1 of these is the
# most that a change may add. `boute profile check` prints them.
STATED = {
    "Qwen/Qwen3-32B": (0.075, 0.122),
    "meta-llama/Llama-3.1-70B": (0.041, 0.063),
}
RUN = Run(
    where="rows.csv:2",
    recipe="InferenceX",
    engine_name="vllm",
    gpu="h100-sxm",
    model="llama-3.1-8b",
    weights="bf16",
    kv_cache="bf16",
    tp=1,
    pp=1,
    engine=Engine(max_num_batched_tokens=8192, max_num_seqs=64),
    load=Load(512, 64, 8),
    ttft_s=0.1,
    tpot_s=0.01,
)


def exact(run: Run) -> Prediction:
    return Prediction(run.ttft_s or 0.0, run.tpot_s or 0.0, 0.5)


def test_errors_are_mean_median_and_percentiles():
    rows = [Compared(RUN, Prediction(0.1 * (1 + e), 0.01, 0.1)) for e in (-0.2, -0.1, 0.0, 0.3)]
    found = errors_of([*rows, Compared(replace(RUN, ttft_s=None), Prediction(9.0, 0.01, 0.1))])
    assert found["rows"] == 5
    assert found["tpot_mape"] == pytest.approx(0.0, abs=1e-9)
    assert found["ttft_mape"] == pytest.approx(0.15)
    assert found["ttft_bias"] == pytest.approx(-0.05)
    assert found["ttft_p50"] == pytest.approx(0.15)
    assert found["ttft_p95"] == pytest.approx(0.285)
    assert worst(rows)[0] is rows[3]


def test_a_perfect_prediction_has_no_error_and_json_has_what_it_says():
    other = replace(RUN, engine_name="trtllm", model="qwen3-8b")
    found = as_json(check(Loaded([RUN, other]), by=exact))
    assert found["rows"] == 1
    assert found["tpot_mape"] == found["ttft_mape"] == 0.0
    assert found["by_gpu"]["h100-sxm"]["rows"] == 1
    assert set(found["by_model"]) == {"llama-3.1-8b"}
    assert found["by_kind"]["dense"]["rows"] == 1
    assert found["other_engines"]["trtllm"]["rows"] == 1
    assert found["skipped"] == []
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "nobody/knows-7b"}, "no model card"),
        ({"gpu": "h900"}, "h900"),
        ({"tp": 3}, "power of two"),
        ({"model": "llama-3.1-70b"}, "GiB of weights"),
        ({"load": Load(60_000, 64, 32)}, "waits for KV cache"),
        ({"load": Load(10, 1_000_000, 64)}, "takes"),
        ({"ttft_s": None, "tpot_s": None}, "neither"),
    ],
)
def test_what_cannot_run_is_left_out_with_a_reason(change, reason):
    found = check(Loaded([RUN, replace(RUN, **change)]))
    assert len(found.compared) == 1
    assert reason in found.skipped[0].reason


def test_nothing_to_compare_is_an_error():
    with pytest.raises(DataError, match=r"nothing can be compared; the first: .*power of two"):
        check(Loaded([replace(RUN, tp=3)]))


def test_a_replay_and_a_loop_of_one_user_agree():
    alone = predict(replace(RUN, load=Load(512, 64, 1, 4, 1.0, 1.0), asynchronous=False))
    arrivals = Replay(np.arange(4) * 10.0, np.full(4, 512), np.full(4, 64))
    replayed = predict(replace(RUN, load=arrivals, asynchronous=False))
    assert isinstance(alone, Prediction)
    assert isinstance(replayed, Prediction)
    assert replayed.tpot_s == pytest.approx(alone.tpot_s, rel=0.02)
    assert replayed.ttft_s == pytest.approx(alone.ttft_s, abs=0.004)


@pytest.mark.skipif(not DATA.exists(), reason="measured runs are not here")
def test_errors_have_not_grown_by_more_than_a_tenth():
    loaded = read_runs([DATA], Given())
    loaded.runs = [run for run in loaded.runs if run.engine_name == "vllm"]
    found = as_json(check(loaded))
    assert found["rows"] >= 120
    assert found["tpot_mape"] <= 0.07
    assert found["ttft_mape"] <= 0.15
    for model, (tpot, ttft) in STATED.items():
        assert found["by_model"][model]["tpot_mape"] <= 1.1 * tpot
        assert found["by_model"][model]["ttft_mape"] <= 1.1 * ttft
