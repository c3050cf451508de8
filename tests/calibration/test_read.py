"""Every format gives the run that was measured, and every flaw of a file has its reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from boute.calibration.read import read_runs
from boute.calibration.runs import Given, Replay
from boute.errors import DataError, InputError
from boute.performance.closed_loop import Load

HEADER = (
    "silicon_data_source,backend,backend_version,model_path,system,precision,mode,isl,osl,"
    "batch_size,tp_size,pp_size,attention_dp_size,silicon_ttft_ms,silicon_tpot_ms"
)
ROW = (
    "source_file=2026-04-06.csv,vllm,,meta-llama/Llama-3.1-70B,h100_sxm,fp8,agg,"
    "1024,1024,16,4,1,,121.4,13.2"
)
GIVEN = Given(gpu="h100-sxm", model="llama-3.1-8b")
VLLM = {
    "model_id": "meta-llama/Llama-3.1-8B",
    "request_rate": "inf",
    "max_concurrency": 8,
    "completed": 80,
    "total_input_tokens": 80 * 500,
    "total_output_tokens": 80 * 100,
    "mean_ttft_ms": 50.0,
    "mean_tpot_ms": 9.0,
}


def silicon(folder: Path, *rows: str, name: str = "rows.csv") -> Path:
    path = folder / name
    text = "\n".join([HEADER, *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def written(folder: Path, data: object, name: str = "result.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_a_row_of_inferencex_is_its_recipe(tmp_path, name):
    (run,) = read_runs([silicon(tmp_path, ROW, name=name)], Given()).runs
    assert (run.gpu, run.weights, run.tp, run.pp) == ("h100-sxm", "fp8", 4, 1)
    assert run.load == Load(1024, 1024, 16, shortest=0.8, longest=1.0)
    assert run.engine.max_num_batched_tokens == 8192
    assert run.engine.max_num_seqs == 16
    assert run.asynchronous
    assert (run.ttft_s, run.tpot_s) == pytest.approx((0.1214, 0.0132))


@pytest.mark.parametrize(("version", "asynchronous"), [("0.12.0", False), ("0.14.1", True)])
def test_a_row_of_aiperf_has_fixed_lengths(tmp_path, version, asynchronous):
    model = f"vllm,{version},Qwen/Qwen3-32B,h200_sxm,,agg"
    row = f"source_file=/x/Qwen.csv,{model},4096,128,8,2,1,,700,26"
    (run,) = read_runs([silicon(tmp_path, row)], Given()).runs
    assert run.weights == "bf16"
    assert run.gpu == "h200"
    assert run.load == Load(4096, 128, 8, shortest=1.0, longest=1.0)
    assert run.engine.max_num_batched_tokens == 4096 + 1500 + 8
    assert run.asynchronous is asynchronous


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (",agg,", ",disagg,", "different GPUs"),
        ("h100_sxm", "tpu_v5", "no GPU card for tpu_v5"),
        (",fp8,", ",fp4,", "weights in fp4"),
        (",4,1,,", ",4,1,4,", "data-parallel"),
        ("2026-04-06.csv", "q.csv; gtl_job_id=7", "how many is not told"),
        ("121.4", "121400", "waits for KV cache"),
        (",16,4,", ",16.5,4,", "should be a whole number"),
        (",16,4,", ",,4,", "there is nothing"),
        (",16,4,", ",9999,4,", "max_num_seqs: should be at most 4096"),
        ("121.4", "fast", "'fast' is not a number"),
        ("13.2", "inf", "not a number"),
    ],
)
def test_a_row_that_cannot_be_compared_has_a_reason(tmp_path, old, new, reason):
    loaded = read_runs([silicon(tmp_path, ROW.replace(old, new), ROW)], Given())
    assert len(loaded.runs) == 1
    (skipped,) = loaded.skipped
    assert reason in skipped.reason
    assert skipped.where.endswith("rows.csv:2")


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("backend,system\nvllm,h100_sxm\n")
    with pytest.raises(DataError, match="no column 'model_path'"):
        read_runs([path], Given())


def test_vllm_bench_at_a_fixed_concurrency(tmp_path):
    (run,) = read_runs([written(tmp_path, VLLM)], Given(gpu="h100-sxm", tp=2)).runs
    assert run.model == "meta-llama/Llama-3.1-8B"
    assert run.tp == 2
    assert isinstance(run.load, Load)
    assert (run.load.input_tokens, run.load.output_tokens) == (500, 100)
    assert (run.load.concurrency, run.load.rounds) == (8, 10)
    assert (run.load.shortest, run.load.longest) == (1.0, 1.0)
    assert run.ttft_s == pytest.approx(0.05)
    data = {**VLLM, "input_lens": [450, 550] * 40, "output_lens": [100] * 80}
    (run,) = read_runs([written(tmp_path, data)], GIVEN).runs
    assert isinstance(run.load, Load)
    assert (run.load.shortest, run.load.longest) == pytest.approx((0.9, 1.1))


def test_vllm_bench_at_a_rate_is_replayed(tmp_path):
    data = {**VLLM, "request_rate": 4.0, "max_concurrency": None}
    (run,) = read_runs([written(tmp_path, data)], GIVEN).runs
    assert isinstance(run.load, Replay)
    assert len(run.load.arrival_s) == 80
    assert 80 / run.load.arrival_s[-1] == pytest.approx(4.0, rel=0.4)
    times = list(np.arange(80.0)[::-1])
    data |= {"start_times": times, "input_lens": [7] * 80, "output_lens": [3] * 80}
    (run,) = read_runs([written(tmp_path, data)], GIVEN).runs
    assert isinstance(run.load, Replay)
    assert list(run.load.arrival_s) == sorted(times)
    assert set(run.load.input_tokens) == {7}


def test_metadata_of_vllm_bench_tell_the_deployment(tmp_path):
    data = {**VLLM, "gpu": "l40s", "tp": "2", "weights": "fp8"}
    (run,) = read_runs([written(tmp_path, data)], Given()).runs
    assert (run.gpu, run.tp, run.weights) == ("l40s", 2, "fp8")


def test_guidellm_has_a_run_for_each_load(tmp_path):
    def metric(mean: float) -> dict[str, object]:
        return {"successful": {"mean": mean, "count": 40}}

    metrics = {
        "time_to_first_token_ms": metric(80.0),
        "inter_token_latency_ms": metric(12.0),
        "prompt_token_count": metric(256.0),
        "output_token_count": metric(64.0),
    }
    strategies = [
        {"type_": "synchronous"},
        {"type_": "concurrent", "streams": 4},
        {"type_": "constant", "rate": 2.0},
        {"type_": "throughput"},
    ]
    data = {"benchmarks": [{"args": {"strategy": s}, "metrics": metrics} for s in strategies]}
    data["benchmarks"].append({"args": {"strategy": strategies[0]}, "metrics": {}})
    data["benchmarks"] += [7, {"metrics": 8}]
    loaded = read_runs([written(tmp_path, data)], GIVEN)
    loads = [run.load for run in loaded.runs]
    assert [load.concurrency for load in loads if isinstance(load, Load)] == [1, 4]
    assert isinstance(loads[2], Replay)
    assert list(np.diff(loads[2].arrival_s)) == pytest.approx([0.5] * 39)
    assert [one.reason for one in loaded.skipped] == [
        "a strategy of type throughput has no load to replay",
        "has no answered requests with token counts",
        "is no benchmark",
        "has no answered requests with token counts",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        [
            {"queued_ts": 5.0, "input_toks": 10, "output_toks": 3, "first_token_ts": 5.5,
             "last_token_ts": 6.5},
            {"queued_ts": 4.0, "input_toks": 20, "output_toks": 1, "first_token_ts": 4.5,
             "last_token_ts": 4.5},
        ],
        [
            {"sent_s": 1.0, "input_tokens": 10, "output_tokens": 3, "ttft_s": 0.5, "e2e_s": 1.5},
            {"sent_s": 0.0, "input_tokens": 20, "output_tokens": 1, "ttft_s": 0.5, "e2e_s": 0.5},
            {"sent_s": 0.5, "input_tokens": 20, "output_tokens": 0, "ttft_s": None, "e2e_s": 9.0},
        ],
    ],
)  # fmt: skip
def test_requests_are_one_run_in_order_of_arrival(tmp_path, rows):
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run,) = read_runs([path], GIVEN).runs
    assert isinstance(run.load, Replay)
    assert list(run.load.arrival_s) == [0.0, 1.0]
    assert list(run.load.input_tokens) == [20, 10]
    assert (run.ttft_s, run.tpot_s) == pytest.approx((0.5, 0.5))


def test_a_log_says_its_deployment_in_meta_json(tmp_path):
    row = {"queued_ts": 0, "input_toks": 5, "output_toks": 2, "first_token_ts": 1}
    path = tmp_path / "requests.jsonl"
    path.write_text(json.dumps({**row, "last_token_ts": 2}) + "\n")
    kwargs = {"tensor_parallel_size": 2, "max_num_seqs": 64, "max_num_batched_tokens": 1024}
    written(tmp_path, {"model": "qwen3-8b", "engine_kwargs": kwargs}, "meta.json")
    (run,) = read_runs([path], Given(gpu="l40s")).runs
    assert (run.model, run.tp, run.engine.max_num_seqs) == ("qwen3-8b", 2, 64)
    written(tmp_path, {"engine_kwargs": {**kwargs, "max_num_seqs": "many"}}, "meta.json")
    with pytest.raises(DataError, match="max_num_seqs: 'many' is not a number"):
        read_runs([path], Given(gpu="l40s", model="qwen3-8b"))
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        read_runs([path], Given(gpu="l40s"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", "{", "not valid JSON"),
        ("x.json", "[1]", "no format that is known"),
        ("x.txt", "hello", "no format that is known"),
        ("x.jsonl", '{"input_toks": 3}\n', "no column 'queued_ts'"),
        (
            "x.jsonl",
            '{"queued_ts": "x", "input_toks": 3, "output_toks": 2, "ttft_s": 1, "e2e_s": 2}\n',
            "'x' is not a number",
        ),
        (
            "x.jsonl",
            '{"queued_ts": 1, "input_toks": 3, "output_toks": 0, "ttft_s": 1, "e2e_s": 2}\n',
            "no answered request",
        ),
        ("x.json", json.dumps({**VLLM, "completed": 0}), "whole number from 1 on"),
        ("x.json", json.dumps({**VLLM, "request_rate": -1}), "sends nothing"),
        ("x.json", json.dumps({**VLLM, "request_rate": "often"}), "'often' is not a number"),
        ("x.json", json.dumps({**VLLM, "mean_ttft_ms": "slow"}), "not a number"),
        ("x.json", json.dumps({**VLLM, "max_concurrency": [8]}), "not a number"),
        ("x.json", json.dumps({**VLLM, "tp": 0}), "whole number from 1 on"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_runs([path], GIVEN)


def test_a_file_that_does_not_tell_the_gpu_asks_for_it(tmp_path):
    with pytest.raises(InputError, match="does not tell the gpu; give it as --gpu"):
        read_runs([written(tmp_path, VLLM)], Given())
