from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from boute.cli.estimate import estimate
from boute.errors import BouteError, InfeasibleError, InputError, ProfileError
from boute.performance.estimate import case_from, estimate_case, find_model

CASE = {
    "model": "llama-3.1-8b",
    "gpu": "h100-sxm",
    "input_tokens": 512,
    "output_tokens": 64,
    "concurrency": 8,
}
app = typer.Typer()
app.command()(estimate)


def invoke(*arguments: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "name", ["qwen3-32b", "Qwen/Qwen3-32B", "Qwen/Qwen3-32B-FP8", "someone/qwen3-32b"]
)
def test_models_are_found_by_card_and_by_hugging_face_id(name):
    assert find_model(name, Path()).name == "qwen3-32b"


def test_models_are_found_by_file(tmp_path):
    config = {
        "model_type": "llama",
        "hidden_size": 1024,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "intermediate_size": 2048,
        "vocab_size": 32_000,
        "max_position_embeddings": 2048,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert find_model("config.json", tmp_path).hidden_size == 1024
    assert find_model(str(tmp_path), Path()).num_hidden_layers == 4
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ProfileError, match=r"broken\.json: is not valid JSON"):
        find_model("broken.json", tmp_path)
    with pytest.raises(ProfileError, match="boute models add"):
        find_model("nobody/nothing", tmp_path)


def test_a_case_is_estimated_with_its_error():
    found = estimate_case(case_from(CASE, where="here"), Path())
    assert 0.006 < found.steady.tpot_s < 0.010
    assert found.steady.ttft_s > found.steady.tpot_s
    assert found.tpot_error > 0


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"gpu": "h10"}, ProfileError, "no GPU card"),
        ({"concurrency": 0}, InputError, "here: concurrency"),
        ({"input_tokens": "many"}, InputError, "here: input_tokens"),
        ({"tp": "1.5"}, InputError, "here: tp"),
        ({"weights": "fp7"}, InputError, "here: weights"),
        ({"gpu": "t4"}, InfeasibleError, "GiB of weights"),
        ({"output_tokens": 1_000_000, "concurrency": 4096}, InputError, "too long"),
        ({"input_tokens": "nan"}, InputError, "input_tokens"),
    ],
)
def test_what_cannot_be_estimated_says_why(change, kind, message):
    with pytest.raises(kind, match=message):
        estimate_case(case_from({**CASE, **change}, where="here"), Path())


def test_the_command_prints_text_and_json():
    options = [
        part for key, value in CASE.items() for part in (f"--{key.replace('_', '-')}", value)
    ]
    text = invoke(*options)
    assert text.exit_code == 0
    assert "TPOT" in text.output
    found = json.loads(invoke(*options, "--json").output)
    assert found["model"] == "llama-3.1-8b"
    assert found["tokens_per_s"] > 0


def test_a_missing_option_is_named():
    assert "--gpu is missing" in str(invoke("--model", "llama-3.1-8b").exception)


def test_a_file_gives_a_row_of_results_each(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text(
        "id,model,gpu,tp,input_tokens,output_tokens,concurrency,weights\n"
        "a,llama-3.1-8b,h100-sxm,,512,64,8.0,\n"
        "b,llama-3.1-70b,h100-sxm,2,512,64,8,fp8\n"
        "c,nothing,h100-sxm,1,512,64,8,\n"
        "d,llama-3.1-8b,t4,1,512,64,8,\n"
        "e,llama-3.1-8b,h100-sxm\n"
    )
    done = invoke("--csv", path)
    assert done.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["id"] for row in rows] == list("abcde")
    assert float(rows[0]["tpot_s"]) < float(rows[1]["tpot_s"])
    assert [bool(row["error"]) for row in rows] == [False, False, True, True, True]
    assert "cases.csv:6: input_tokens is missing" in rows[4]["error"]
    as_json = json.loads(invoke("--csv", path, "--json").stdout)
    assert as_json[0]["tpot_s"] == pytest.approx(float(rows[0]["tpot_s"]))
    assert as_json[0]["error"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column of a case"),
        ("a,b\n1,2\n", "no column of a case"),
        ("model,gpu\n", "has no rows"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_file_without_cases_is_refused(tmp_path, text, message):
    path = tmp_path / "cases.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = invoke("--csv", path)
    assert isinstance(done.exception, BouteError)
    assert message in str(done.exception)


def test_a_file_of_bad_rows_exits_with_2(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text("model,gpu,input_tokens,output_tokens,concurrency\nno,no,1,1,1\n")
    done = invoke("--csv", path)
    assert done.exit_code == 2
    assert "no model card" in done.stdout
