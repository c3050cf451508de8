"""AIConfigurator beside our predictions, where it is installed and where it is not."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from boute.calibration.predict import Prediction, predict
from boute.calibration.rival import aiconfigurator, beside_aiconfigurator
from boute.calibration.runs import Loaded, Replay, Run
from boute.calibration.summary import check
from boute.errors import InputError
from boute.performance.closed_loop import Load
from boute.spec.model import Engine

INSTALLED = importlib.util.find_spec("aiconfigurator") is not None
RUN = Run(
    where="rows.csv:2",
    recipe="InferenceX",
    engine_name="vllm",
    gpu="h100-sxm",
    model="meta-llama/Llama-3.1-70B",
    weights="fp8",
    kv_cache="bf16",
    tp=4,
    pp=1,
    engine=Engine(max_num_batched_tokens=8192, max_num_seqs=16),
    load=Load(1024, 1024, 16, shortest=0.8, longest=1.0),
    ttft_s=0.1214,
    tpot_s=0.0132,
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pp": 2}, "PP2"),
        ({"weights": "int4"}, "int4"),
        ({"gpu": "t4"}, "has no t4"),
        ({"load": Replay(np.zeros(1), np.ones(1, np.int64), np.ones(1, np.int64))}, "arrivals"),
    ],
)
def test_what_it_cannot_predict_has_a_reason(change, reason):
    found = aiconfigurator(replace(RUN, **change))
    assert isinstance(found, str)
    assert reason in found


@pytest.mark.skipif(INSTALLED, reason="AIConfigurator is installed")
def test_without_it_the_way_to_get_it_is_said():
    with pytest.raises(InputError, match=r"pip install 'boute\[aiconfigurator\]'"):
        beside_aiconfigurator(check(Loaded([RUN])))


@pytest.mark.skipif(not INSTALLED, reason="AIConfigurator is not installed")
def test_both_predict_the_same_row():
    found = beside_aiconfigurator(check(Loaded([RUN])))
    ours, theirs = predict(RUN), aiconfigurator(RUN)
    assert isinstance(ours, Prediction)
    assert isinstance(theirs, Prediction)
    assert theirs.tpot_s == pytest.approx(ours.tpot_s, rel=0.2)
    assert found["rows"] == 1
    assert found["ttft_boute"] == pytest.approx(abs(ours.ttft_s / 0.1214 - 1))
    assert found["ttft_aiconfigurator"] == pytest.approx(abs(theirs.ttft_s / 0.1214 - 1))
