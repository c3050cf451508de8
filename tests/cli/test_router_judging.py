"""`boute router eval`, `calibrate` and `drift`, with what is good and with what is not."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WORDS = ["sum", "cat", "list", "tree", "road", "seven", "lamp", "door", "milk", "stone"]


def write_table(path: Path, rows: int, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["query", "task", "small", "big", "small_output_tokens", "big_output_tokens"])
        for _ in range(rows):
            hard = rng.random() < 0.4
            text = f"{'integral' if hard else 'simple'} {' '.join(rng.choice(WORDS, 9))}"
            small, big = rng.random() < (0.15 if hard else 0.9), rng.random() < 0.95
            lengths = np.exp(rng.normal([3.0, 4.0], 0.3)).round().astype(int).tolist()
            out.writerow([text, "ab"[int(rng.random() < 0.5)], int(small), int(big), *lengths])
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, test.csv and a router fitted on the first."""
    from boute.cli.main import main

    folder = tmp_path_factory.mktemp("router")
    train = write_table(folder / "train.csv", 300, seed=0)
    write_table(folder / "test.csv", 300, seed=1)
    out = folder / "router"
    assert main(["router", "train", str(train), "--models", "small,big", "--out", str(out)]) == 0
    return folder


def judged(boute: Any, trained: Path, *more: object) -> dict[str, Any]:
    ran = boute("router", "eval", trained / "router", trained / "test.csv", *more, "--json")
    assert (ran.code, ran.err) == (0, "")
    data: dict[str, Any] = json.loads(ran.out)
    return data


def test_eval_as_json(boute: Any, trained: Path) -> None:
    data = judged(boute, trained, "--by", "task", "--price", "small=1", "--price", "big=5")
    assert (data["rows"], data["trained_on"], data["models"]) == (300, 0, ["small", "big"])
    assert data["score"]["apgr"]["low"] > 0.5
    assert data["family"]["gain"]["low"] > 0
    assert {line["task"] for line in data["tasks"]} == {"a", "b"}


def test_eval_as_text_says_what_was_fitted_on(boute: Any, trained: Path) -> None:
    ran = boute("router", "eval", trained / "router", trained / "test.csv", "--by", "task")
    assert (ran.code, ran.err) == (0, "")
    assert "300 rows" in ran.out
    assert "small, big, by score" in ran.out
    assert "APGR" in ran.out
    ran = boute("router", "eval", trained / "router", trained / "train.csv")
    assert ran.code == 0
    assert "300 of 300 rows were fitted on" in ran.err
    ran = boute("router", "eval", trained / "router", trained / "train.csv", "--unseen")
    assert ran.code == 2
    assert "no row that the router was not fitted on" in ran.err


def test_calibrate_writes_another_router_whose_scores_are_the_same(
    boute: Any, trained: Path
) -> None:
    from boute.routing.router import Router

    out = trained / "calibrated"
    arguments = ("router", "calibrate", trained / "router", trained / "test.csv", "--out", out)
    ran = boute(*arguments, "--json")
    assert ran.code == 0
    data = json.loads(ran.out)
    assert (data["rows"], data["left_out"]) == (300, 0)
    assert all(model["ece_after"] < 0.1 for model in data["models"])
    before, after = Router.load(trained / "router"), Router.load(out)
    assert np.array_equal(before.score(["integral cat"]), after.score(["integral cat"]))
    assert not np.array_equal(before.calibration, after.calibration)
    assert "wrote" in ran.err
    ran = boute(*arguments)
    assert "ECE" in ran.out


def test_drift_of_texts_and_of_counts_with_a_routing(
    boute: Any, trained: Path, tmp_path: Path
) -> None:
    ran = boute("router", "drift", trained / "router", trained / "test.csv", "--json")
    assert (ran.code, ran.err) == (0, "")
    same = json.loads(ran.out)
    assert same["verdict"] in ("stable", "shifted")
    assert same["thresholds_moved"] is None
    hard = tmp_path / "hard.jsonl"
    hard.write_text("".join(json.dumps({"score": 0.9}) + "\n" for _ in range(200)))
    ran = boute("router", "drift", trained / "router", hard)
    assert ran.out.startswith("drifted: 200 scores")
    counts = [0] * 200
    counts[150:200] = [10] * 50
    plan = {"plan": "p", "models": ["small", "big"], "thresholds": [0.5], "fractions": [0.6, 0.4]}
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps({"replica": "", "plans": [{**plan, "counts": counts}]}))
    ran = boute("router", "drift", trained / "router", scores)
    assert "small: planned 60.0% of queries, seen 0.0%" in ran.out
    assert "thresholds: 0.5 give other shares than planned; 0.8997 would restore them" in ran.out


def test_drift_by_the_thresholds_of_a_plan(boute: Any, trained: Path, tmp_path: Path) -> None:
    plan = Path(__file__).parents[1] / "plan/example.yaml"
    log = tmp_path / "access.jsonl"
    log.write_text("".join(json.dumps({"score": n / 400}) + "\n" for n in range(400)))
    ran = boute("router", "drift", trained / "router", log, "--plan", plan, "--json")
    assert (ran.code, ran.err) == (0, "")
    data = json.loads(ran.out)
    shares = data["shares"]
    assert sum(shares["seen"]) == pytest.approx(1.0)
    assert shares["seen"][0] == pytest.approx(shares["thresholds"][0], abs=0.01)
    gaps = [abs(a - b) for a, b in zip(shares["planned"], shares["seen"], strict=True)]
    assert data["thresholds_moved"] == (max(gaps) > 0.02)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("eval", "router", "none.csv"), "no such file"),
        (("eval", "none", "test.csv"), "no such file"),
        (("eval", "router", "test.csv", "--price", "small"), "'small' is not MODEL=USD"),
        (("eval", "router", "test.csv", "--price", "small=1"), "big has no price"),
        (("eval", "router", "test.csv", "--resamples", "5"), "--resamples"),
        (("calibrate", "router", "train.csv", "--out", "never"), "at least 50 are needed"),
        (("drift", "router", "none.jsonl"), "no such file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    boute: Any, trained: Path, arguments: tuple[str, ...], problem: str
) -> None:
    verb, *rest = arguments
    named = [
        str(trained / each) if "." in each or each in ("router", "none", "never") else each
        for each in rest
    ]
    ran = boute("router", verb, *named)
    assert ran.code == 2
    assert problem in ran.err
    assert ran.err.count("\n") == 1
    assert not (trained / "never").exists()
