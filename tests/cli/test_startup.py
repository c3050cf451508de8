"""`boute startup`: parse, fit and predict, with what is good and with what is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

LOGS = Path(__file__).parents[1] / "startup" / "logs"
LLAMA = ("--model", "llama-3.1-8b", "--gpu", "h100-sxm")


def parsed(boute: Any, log: str) -> dict[str, Any]:
    ran = boute("startup", "parse", LOGS / f"{log}.log", "--json")
    assert (ran.code, ran.err) == (0, "")
    data: dict[str, Any] = json.loads(ran.out)
    return data


def test_a_log_as_a_table(boute: Any) -> None:
    ran = boute("startup", "parse", LOGS / "v0.10-warm.log")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "/models/seven, vLLM 0.10.1.1, warm cache",
        "framework bootstrap          20.00 s    51%",
        "tokenizer                   not told",
        "model loading                 2.75 s     7%",
        "torch.compile                 8.50 s    22%",
        "KV profiling, warm-up         2.00 s     5%",
        "graph capture                 2.00 s     5%",
        "not explained                 3.75 s    10%",
        "ready after                  39.00 s",
    ]


def test_a_log_as_json(boute: Any) -> None:
    data = parsed(boute, "v0.11-tp2")
    assert data["ready_s"] == 93.0
    assert data["steps_s"]["loading"] == 25.25
    assert data["steps_s"]["tokenizer"] is None
    assert sum(filter(None, data["steps_s"].values())) + data["unexplained_s"] == 93.0
    assert (data["tensor_parallel"], data["workers"], data["notes"]) == (2, 2, [])


def test_what_is_odd_about_a_log_goes_to_standard_error(boute: Any, folder: Path) -> None:
    lines = (LOGS / "v0.10-warm.log").read_text().splitlines(keepends=True)
    (folder / "cut.log").write_text("".join(lines[:12]))
    ran = boute("startup", "parse", "cut.log")
    assert ran.code == 0
    assert ran.err == "the log ends before the engine is ready\n"
    assert "ready after" in ran.out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "x.log: cannot be read: no such file"),
        (b"", "x.log: is empty"),
        (b"\x7fELF\0\0", "x.log: is not text"),
        (b"hello\n", "x.log: has no line of a start of vLLM"),
    ],
)
def test_logs_that_are_no_good(check_refused: Any, folder: Path, content: Any, says: str) -> None:
    if content is not None:
        (folder / "x.log").write_bytes(content)
    check_refused(2, [says], "startup", "parse", "x.log")


def put_starts(folder: Path, models: int = 4) -> None:
    """The CPU logs as starts of models whose sizes differ."""
    for number in range(models):
        for log in ("v0.29-cpu-compiled", "v0.29-cpu-eager"):
            sizes = {
                "weights_bytes": 1e7 * 2**number,
                "parameters": 5e6 * 2**number,
                "layers": 2 + 3 * number,
                "tokenizer_bytes": 1e6 + 1e5 * number,
            }
            started = {"model": f"m{number}", "device": "this", "cache": "cold", "sizes": sizes}
            shutil.copyfile(LOGS / f"{log}.log", folder / f"m{number}-{log}.log")
            (folder / f"m{number}-{log}.yaml").write_text(yaml.safe_dump(started))


def test_a_fit_is_written_and_predicts(boute: Any, folder: Path) -> None:
    put_starts(folder)
    ran = boute("startup", "fit", ".", "--out", "fit.yaml", "--source", "by hand")
    assert (ran.code, ran.err) == (0, "wrote fit.yaml\n")
    assert ran.out.startswith("8 starts of 4 models, vLLM 0.29.0, this\n")
    assert "leave-one-out: mean error 4.1%" in ran.out
    assert yaml.safe_load(Path("fit.yaml").read_text())["source"] == "by hand"
    ran = boute("startup", "predict", *LLAMA, "--fit", "fit.yaml", "--eager", "--cache", "cold")
    assert ran.code == 0
    assert "measured on this" in ran.out
    ran = boute("startup", "fit", ".", "--out", "fit.yaml", "--json")
    assert json.loads(ran.out)["models"] == 4


def test_fits_that_cannot_be(check_refused: Any, folder: Path) -> None:
    fit = ("startup", "fit", ".", "--out", "fit.yaml")
    check_refused(2, [".: holds no .log file"], *fit)
    put_starts(folder, models=2)
    check_refused(2, ["2 models do not tell"], *fit)
    put_starts(folder)
    (folder / "m1-v0.29-cpu-eager.yaml").unlink()
    check_refused(2, ["m1-v0.29-cpu-eager.yaml: is missing"], *fit)
    (folder / "m1-v0.29-cpu-eager.yaml").write_text("model: [")
    check_refused(2, ["m1-v0.29-cpu-eager.yaml", "YAML"], *fit)


def test_a_prediction_as_a_table_and_as_json(boute: Any) -> None:
    ran = boute("startup", "predict", *LLAMA, "--cache", "cold")
    assert ran.code == 0
    assert ran.out.startswith("llama-3.1-8b on 1 x h100-sxm, cold cache, vLLM 0.10.1.1\n")
    assert "mean error 45%" in ran.out
    data = json.loads(boute("startup", "predict", *LLAMA, "--json").out)
    assert sum(data["steps_s"].values()) == pytest.approx(data["ready_s"])
    assert "Breaking the Ice" in data["source"]
    assert data["start"]["captured_sizes"] == 51


def test_what_a_prediction_depends_on(boute: Any) -> None:
    def seconds(*options: object) -> dict[str, float]:
        ran = boute("startup", "predict", *LLAMA, *options, "--json")
        steps: dict[str, float] = json.loads(ran.out)["steps_s"]
        return steps

    usual = seconds()
    assert seconds("--weights", "fp8")["loading"] < 0.6 * usual["loading"]
    assert seconds("--tp", 2)["loading"] < 0.6 * usual["loading"]
    assert seconds("--tp", 2)["bootstrap"] > usual["bootstrap"]
    assert seconds("--tokenizer-mb", 40)["tokenizer"] > 4 * usual["tokenizer"]
    assert seconds("--max-num-seqs", 8)["capture"] < 0.5 * usual["capture"]
    assert seconds("--eager")["compile"] == 0.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--model", "nope", "--gpu", "l4"), "no model card 'nope'"),
        (("--model", "llama-3.1-8b", "--gpu", "l4x"), "did you mean l4?"),
        ((*LLAMA, "--cache", "hot"), "--cache"),
        ((*LLAMA, "--tp", 0), "--tp"),
        ((*LLAMA, "--weights", "fp7"), "--weights"),
        ((*LLAMA, "--tokenizer-mb", "nan"), "--tokenizer-mb"),
        ((*LLAMA, "--tokenizer-mb", "inf"), "options: tokenizer_bytes"),
        ((*LLAMA, "--fit", "no.yaml"), "no.yaml: cannot be read"),
        (("--gpu", "l4"), "--model"),
    ],
)
def test_predictions_that_cannot_be(check_refused: Any, options: Any, says: str) -> None:
    check_refused(2, [says], "startup", "predict", *options)


def test_nothing_is_known_of_a_cpu(check_refused: Any, boute: Any, folder: Path) -> None:
    card = json.loads(boute("gpus", "show", "l4", "--json").out)
    kept = {key: value for key, value in card.items() if key not in ("interconnect", "sources")}
    (folder / "cpu.yaml").write_text(yaml.safe_dump(kept | {"name": "cpu", "vendor": "cpu"}))
    check_refused(
        2,
        ["--gpu: nothing is known of starts on cpu", "--fit"],
        *("startup", "predict", "--model", "qwen3-0.6b", "--gpu", "cpu.yaml"),
    )
