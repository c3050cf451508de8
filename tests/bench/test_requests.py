from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boute.bench.requests import BenchRequest, Load, Shape, load_requests, with_queries, words
from boute.errors import DataError
from boute.routing.table import QualityTable
from boute.spec.workload import WorkloadSource

CHAT = Shape("boute")


def write(folder: Path, *rows: dict[str, Any]) -> None:
    defaults = {"input_tokens": 4, "output_tokens": 3}
    lines = [json.dumps({"arrival_s": i} | defaults | row) for i, row in enumerate(rows)]
    (folder / "t.jsonl").write_text("\n".join(lines))


def load(folder: Path, shape: Shape = CHAT, **source: Any) -> Load:
    return load_requests(WorkloadSource(trace="t.jsonl", **source), folder, shape)


def body(request: BenchRequest) -> dict[str, Any]:
    return dict(json.loads(request.body))


def test_a_trace_without_text_asks_for_its_lengths(tmp_path: Path) -> None:
    write(tmp_path, {"input_tokens": 5}, {"input_tokens": 7, "output_tokens": 9})
    made = load(tmp_path)
    assert not made.has_text
    sent = [body(request) for request in made.requests]
    assert [len(each["messages"][0]["content"].split()) for each in sent] == [5, 7]
    assert [each["max_completion_tokens"] for each in sent] == [3, 9]
    assert all(each["ignore_eos"] and each["stream"] for each in sent)
    assert all(each["stream_options"] == {"include_usage": True} for each in sent)
    assert {request.path for request in made.requests} == {"v1/chat/completions"}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path, {}, {})
    bodies = [[r.body for r in load(tmp_path, seed=seed).requests] for seed in (1, 1, 2)]
    assert bodies[0] == bodies[1] != bodies[2]
    assert words(3, np.random.default_rng(0)) == words(3, np.random.default_rng(0))


@pytest.mark.parametrize("column", ["prompt", "query"])
def test_text_is_sent_and_may_end_by_itself(tmp_path: Path, column: str) -> None:
    write(tmp_path, {column: "2+2=", "answer": 4}, {column: "é", "answer": None})
    made = load(tmp_path, Shape("m", "completions", stream=False))
    assert made.has_text
    assert [request.answer for request in made.requests] == ["4", None]
    assert [request.path for request in made.requests] == ["v1/completions"] * 2
    assert body(made.requests[0]) == {
        "model": "m",
        "prompt": "2+2=",
        "max_tokens": 3,
        "temperature": 0.0,
    }
    assert "é".encode() in made.requests[1].body
    assert (
        body(load(tmp_path, Shape("m", max_tokens=50)).requests[0])["max_completion_tokens"] == 50
    )


def test_a_body_is_sent_as_it_is(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "x"}], "n": 2, "model": "other"}
    write(tmp_path, {"body": chat}, {"body": {"prompt": "y"}}, {"prompt": "text"}, {})
    made = load(tmp_path)
    assert body(made.requests[0]) == chat
    assert body(made.requests[1]) == {"model": "boute", "prompt": "y"}
    paths = [request.path.removeprefix("v1/") for request in made.requests]
    assert paths == ["chat/completions", "completions", "chat/completions", "chat/completions"]
    assert body(made.requests[2])["messages"][0]["content"] == "text"
    assert not made.has_text


@pytest.mark.parametrize("wrong", ["text", 3, {}, {"prompt": "a", "messages": []}])
def test_a_wrong_body_is_told_with_its_line(tmp_path: Path, wrong: object) -> None:
    write(tmp_path, {"prompt": "a"}, {"body": wrong})
    with pytest.raises(DataError, match=r"t.jsonl:2: body should be a request"):
        load(tmp_path)


def test_the_window_keeps_rows_and_texts_together(tmp_path: Path) -> None:
    write(tmp_path, *({"prompt": f"p{i}"} for i in range(6)))
    made = load(tmp_path, start_s=2.0, max_requests=2, rate_scale=2.0)
    assert [body(r)["messages"][0]["content"] for r in made.requests] == ["p2", "p3"]
    assert [request.arrival_s for request in made.requests] == [0.0, 0.5]
    assert made.window_s == 1.0


def test_presets_and_generators_are_workloads_too(tmp_path: Path) -> None:
    source = WorkloadSource(trace="azure-conversation", max_requests=5)
    made = load_requests(source, tmp_path, CHAT)
    assert len(made.requests) == 5
    assert not made.has_text


def test_requests_say_which_query_they_stand_for(tmp_path: Path) -> None:
    write(tmp_path, {}, {})
    made = load(tmp_path)
    row = np.array([2, 0])
    common = {"quality": np.ones((3, 1)), "output_tokens": np.ones((3, 1))}

    def headers(**queries: Any) -> list[dict[str, str]]:
        table = QualityTable("t", ("m",), **common, **queries)
        return [dict(request.headers) for request in with_queries(made, table, row).requests]

    score = np.array([0.1, 0.2, 7.5])
    assert headers(score=score) == [{"x-boute-score": "7.5"}, {"x-boute-score": "0.1"}]
    features = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.5]])
    assert headers(features=features)[0] == {"x-boute-features": "5.0,6.5"}
    assert headers(text=("a", "b", "c")) == [{}, {}]
