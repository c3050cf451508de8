"""`boute profile measure` against a server that is really there: the batcher of tests/measure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

BATCHER = Path(__file__).parents[1] / "measure" / "batcher.py"
QUICK = ("--minutes", 0.01, "--concurrency", "1,2,4")
CARDS = ("--gpu", "l40s", "--card", "qwen3-0.6b")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    program = [sys.executable, str(BATCHER)]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


def test_an_entry_is_written_and_replaced(url: str, folder: Path, boute: Any) -> None:
    ran = boute("profile", "measure", url, "--model", "tiny", *CARDS, *QUICK)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("qwen3-0.6b on l40s (bf16 weights, bf16 KV cache, TP1 PP1), vLLM 9.9")
    assert "E2E P95" in ran.out
    assert ran.err.endswith("wrote measured.yaml\n")
    (first,) = yaml.safe_load(Path("measured.yaml").read_text())["entries"]
    assert (first["gpu"], first["model"], first["kv_tokens"]) == ("l40s", "qwen3-0.6b", 640)
    options = ("--weights", "fp8", "--json")
    ran = boute("profile", "measure", url, "--model", "tiny", *CARDS, *QUICK, *options)
    assert ran.code == 0, ran.err
    second = json.loads(ran.out)
    assert second["held_out"]["requests"] >= 20
    assert yaml.safe_load(Path("measured.yaml").read_text())["entries"] == [first, second]
    again = boute("profile", "measure", url, "--model", "tiny", *CARDS, *QUICK, *options)
    third = json.loads(again.out)
    assert yaml.safe_load(Path("measured.yaml").read_text())["entries"] == [first, third]


def test_a_spec_takes_what_was_written(
    url: str, folder: Path, boute: Any, small_spec: Callable[..., dict[str, Any]]
) -> None:
    cards = ("--gpu", "l40s", "--card", "llama-3.1-8b", "--kv-tokens", 200_000)
    assert boute("profile", "measure", url, "--model", "tiny", *cards, *QUICK).code == 0
    Path("boute.yaml").write_text(yaml.safe_dump(small_spec(measured=["measured.yaml"])))
    ran = boute("check", "boute.yaml")
    assert ran.code == 0, ran.err
    assert "measured:\n- measured.yaml" in ran.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--model", "tinny", *CARDS), ["--model: ", "no model 'tinny'", "did you mean tiny?"]),
        (("--model", "tiny", "--gpu", "l41", "--card", "qwen3-0.6b"), ["no GPU card 'l41'"]),
        (("--model", "tiny", "--gpu", "l40s", "--card", "qwen"), ["no model card 'qwen'"]),
        (("--model", "tiny", *CARDS, "--concurrency", "1,x"), ["--concurrency", "1,2,4,8"]),
        (("--model", "tiny", *CARDS, "--concurrency", "0,1"), ["--concurrency"]),
        (("--model", "tiny", *CARDS, "--concurrency", "1"), ["requests at a time"]),
        (("--model", "tiny", *CARDS, "--longest", 9), ["--longest", "too short"]),
        (("--model", "tiny", *CARDS, "--weights", "fp16"), ["--weights", "bf16"]),
        (("--model", "tiny", *CARDS, "--out", "other.yaml"), ["other.yaml", "mapping"]),
        (("--model", "tiny", *CARDS, "--api-key-env", "NO_SUCH_KEY"), ["NO_SUCH_KEY is not set"]),
        (CARDS, ["missing option '--model'"]),
    ],
)
def test_wrong_arguments_are_told_in_a_line(
    url: str,
    folder: Path,
    check_refused: Callable[..., None],
    options: tuple[object, ...],
    says: list[str],
) -> None:
    Path("other.yaml").write_text("- not a profile\n")
    check_refused(2, says, "profile", "measure", url, *options)


def test_help_tells_the_verb(boute: Any) -> None:
    ran = boute("profile", "--help")
    assert ran.code == 0
    assert "measure" in ran.out
