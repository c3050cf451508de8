"""`boute router train` and `explain`, on good tables and on bad ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from boute.cli.main import main
from boute.routing.router import Router


def write(path: Path, rows: int, models: int = 2, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    names = [f"m{number}" for number in range(models)]
    lines = [",".join(["query", *names])]
    for row in range(rows):
        hard = row % 3 == 0
        values = [f"{int(rng.random() < (0.3 if hard else 0.9))}" for _ in names]
        lines.append(",".join([f"{'prove' if hard else 'name'} thing {row}", *values]))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_router_is_trained_and_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = write(tmp_path / "t.csv", 120), tmp_path / "router"
    assert (
        main(["router", "train", str(table), "--models", "m0,m1", "--out", str(out), "--json"]) == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["layout"], said["models"]) == (120, "boute", ["m0", "m1"])
    assert Router.load(out, expected_hash=said["sha256"]).kind == "lexical"
    assert main(["router", "explain", str(out), "prove thing 7"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("score 0.")
    assert "the word 'prove'" in said
    assert main(["router", "explain", str(out), "", "--json", "--top", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [model["model"] for model in found["models"]] == ["m0", "m1"]
    assert found["models"][0]["output_low"] <= found["models"][0]["output_high"]


@pytest.mark.parametrize("kind", ["boosted", "neighbours", "factorisation"])
def test_every_kind(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = write(tmp_path / "t.csv", 60)
    out = tmp_path / "router"
    assert main(["router", "train", str(table), "--kind", kind, "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{kind} router for m")
    assert "models are ordered by mean quality" in captured.err


def test_a_hundred_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write(tmp_path / "t.csv", 40, models=100)
    assert main(["router", "train", str(table), "--out", str(tmp_path / "r")]) == 0
    assert len(Router.load(tmp_path / "r").models) == 100
    assert main(["router", "explain", str(tmp_path / "r"), "prove it"]) == 0
    assert capsys.readouterr().out.count("\nm") == 101  # a line each, and the head of reasons


def test_one_class_and_constant_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["query,small,big", *[f"thing {row % 2},0,1" for row in range(30)]]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    assert main(["router", "train", str(tmp_path / "t.csv"), "--out", str(tmp_path / "r")]) == 0
    assert "every answer of small has quality 0" in capsys.readouterr().err
    router = Router.load(tmp_path / "r")
    assert np.ptp(router.score(["a", "thing 0", "b" * 100_000])) < 1e-9


def test_more_rows_than_are_fitted_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boute.routing.training.MOST_ROWS", 50)
    table = write(tmp_path / "t.csv", 90)
    assert main(["router", "train", str(table), "--out", str(tmp_path / "r")]) == 0
    assert "50 of 90 rows are drawn" in capsys.readouterr().err


def test_battles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"prove {row},x,y,{'model_b' if row % 3 else 'tie'}" for row in range(40)]
    (tmp_path / "b.csv").write_text("\n".join(["prompt,model_a,model_b,winner", *lines]))
    assert main(["router", "train", str(tmp_path / "b.csv"), "--out", str(tmp_path / "r")]) == 0
    assert "router for x, y, cheapest first" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "m0,tiny"], "has no column tiny"),
        (["--kind", "embedding"], "the kind embedding needs a model"),
        (["--kind", "boosted", "--embedding", "nowhere"], "nowhere: has neither model.onnx nor"),
        (["--kind", "neural"], "'neural' is not one of"),
        (["--quality", "m0"], "'m0' is not MODEL=COLUMN"),
        (["--quality", "m0=none"], "has no column none"),
        (["--query", "words"], "has no column of text"),
        (["--task", "subject"], "has no column subject"),
        (["--texts", "none.csv", "--query", "words"], "cannot be read"),
    ],
)
def test_wrong_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    table = write(tmp_path / "t.csv", 40)
    code = main(
        [
            "router",
            "train",
            str(table),
            "--models",
            "m0,m1",
            "--out",
            str(tmp_path / "r"),
            *arguments,
        ]
    )
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (2, 1)
    assert message in said


def test_a_folder_that_is_no_router(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["router", "explain", str(tmp_path), "hi"]) == 2
    assert "router.json: cannot be read" in capsys.readouterr().err


def test_texts_that_no_encoding_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON can escape half a surrogate pair, which is no character."""
    rows = [
        {"query": ["\ud800 half", "", "z" * 100_000][row % 3], "a": row % 2, "b": 1.0}
        for row in range(30)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for kind in ("lexical", "boosted"):
        arguments = ["--kind", kind, "--out", str(tmp_path / kind)]
        assert main(["router", "train", str(tmp_path / "t.jsonl"), *arguments]) == 0
        assert main(["router", "explain", str(tmp_path / kind), "\udcff"]) == 0
    assert capsys.readouterr().out.count("score 0.") == 2


def test_ten_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write(tmp_path / "t.csv", 10)
    assert main(["router", "train", str(table), "--out", str(tmp_path / "r")]) == 2
    assert "at least 20 are needed" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
