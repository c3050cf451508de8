import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.errors import DataError
from boute.routing.evaluation.score_log import PlanScores, read_scores
from boute.routing.router import Router


def counts(**changes: Any) -> dict[str, Any]:
    return {
        "plan": "plan-01",
        "models": ["small", "big"],
        "thresholds": [0.5],
        "fractions": [0.7, 0.3],
        "counts": [2, 0, 1, 0],
    } | changes


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_scores_of_counts_fall_back_into_their_bins(numbers: list[int]) -> None:
    scores = PlanScores.model_validate(counts(counts=numbers)).scores()
    bins = np.ceil(scores * len(numbers)).astype(int) - 1
    assert np.bincount(bins, minlength=len(numbers)).tolist() == numbers
    assert (np.diff(scores) > 0).all()


def test_counts_of_an_ingress(tmp_path: Path, router: Router) -> None:
    file = tmp_path / "scores.json"
    plans = [counts(), counts(plan="plan-02", thresholds=[0.25])]
    file.write_text(json.dumps({"replica": "", "plans": plans}))
    last = read_scores(file, router, None)
    assert last.scores.tolist() == pytest.approx([0.0625, 0.1875, 0.625])
    assert last.cut is not None
    assert last.cut.thresholds == (0.25,)
    first = read_scores(file, router, "plan-01")
    assert first.cut is not None
    assert (first.cut.models, first.cut.fractions) == (("small", "big"), (0.7, 0.3))
    with pytest.raises(DataError, match=r"has no scores of plan-03.*did you mean plan-0"):
        read_scores(file, router, "plan-03")


def test_counts_of_a_policy_without_thresholds_have_no_cut(tmp_path: Path, router: Router) -> None:
    file = tmp_path / "scores.json"
    file.write_text(json.dumps({"replica": "", "plans": [counts(thresholds=[])]}))
    found = read_scores(file, router, None)
    assert len(found.scores) == 3
    assert found.cut is None


def test_an_access_log_without_what_was_not_routed(tmp_path: Path, router: Router) -> None:
    file = tmp_path / "access.jsonl"
    lines = [
        {"plan": "plan-01", "score": 0.25, "model": "small"},
        {"plan": "plan-01", "score": None, "model": "big"},
        {"plan": "plan-02", "score": 0.75, "model": "big"},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_scores(file, router, None).scores.tolist() == [0.25, 0.75]
    assert read_scores(file, router, "plan-02").scores.tolist() == [0.75]
    with pytest.raises(DataError, match="holds no score of plan-03"):
        read_scores(file, router, "plan-03")


def test_texts_are_scored(tmp_path: Path, router: Router) -> None:
    file = tmp_path / "queries.csv"
    file.write_text("prompt\nintegral cat list\nsimple tree road\n")
    scores = read_scores(file, router, None).scores
    assert scores.tolist() == router.score(["integral cat list", "simple tree road"]).tolist()
    assert scores[0] > scores[1]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", "score\n0.5\n1.5\n", "a.csv:3: score: a score should be in"),
        ("a.csv", "score\nhigh\n", "should be a number"),
        ("a.csv", "other\n1\n", "a score, or the query's text"),
        ("a.json", '{"replica": "", "plans": []}', "holds no score"),
        ("a.json", '{"replica": "", "plans": [{"plan": "p"}]}', "models"),
        ("a.json", "[]", "a.json"),
        ("a.txt", "boute_score_bucket 1\n", "of no known format"),
    ],
)
def test_what_is_wrong_with_a_log_is_said(
    tmp_path: Path, router: Router, name: str, text: str, problem: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as error:
        read_scores(tmp_path / name, router, None)
    assert problem in str(error.value)
