from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boute.deployments.engines.base import Answer, EngineError, EngineRequest
from boute.deployments.gateway.bodies import Query, parse_query
from boute.deployments.gateway.cascade import Checked, climb
from boute.deployments.gateway.chooser import Attempt, Chooser
from boute.deployments.gateway.forward import Opened

CHAT = "/v1/chat/completions"
PATHS = [CHAT, "/v1/completions"]
BUSY = Answer(429, b"{}")
REFUSAL = Answer(400, b'{"error": {"message": "no such thing", "code": 400}}')


def body(path: str = CHAT, **more: Any) -> dict[str, Any]:
    asked = {"messages": [{"role": "user", "content": "hi"}]} if path == CHAT else {"prompt": "hi"}
    return {"model": "boute", **asked, **more}


def text_of(answer: httpx.Response) -> str:
    """What was said, streamed or not."""
    assert answer.status_code == 200, answer.text
    if not answer.headers["content-type"].startswith("text/event-stream"):
        whole = [answer.json()]
    else:
        *parts, done, _ = answer.text.split("\n\n")
        assert done == "data: [DONE]"
        whole = [json.loads(part.removeprefix("data: ")) for part in parts]
    choices = [choice for part in whole for choice in part["choices"]]
    said = [choice.get("message") or choice.get("delta") or choice for choice in choices]
    return "".join(part.get("content") or part.get("text") or "" for part in said)


def asked(served: Any) -> dict[str, int]:
    return {name: len(pool.seen) for name, pool in served.pools.items() if pool.seen}


def counts(served: Any, name: str) -> dict[str, float]:
    """Values above 0 of a metric by its labels but the plan's and the replica's."""
    text = served.client.get("/metrics").text
    found = re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE)
    plain = [(re.sub(r'(plan|replica)="[^"]*",?', "", labels), value) for labels, value in found]
    return {labels.strip(","): float(value) for labels, value in plain if float(value)}


def log_of(served: Any, path: Path) -> dict[str, Any]:
    served.close()
    (line,) = path.read_text().splitlines()
    fields: dict[str, Any] = json.loads(line)
    return fields


@pytest.fixture
def start(serve: Callable[..., Any], cascade: Callable[..., Any]) -> Callable[..., Any]:
    """Serve a cascade whose models are as sure as is said."""

    def make(small: float | None = 0.9, mid: float | None = 0.9, **options: Any) -> Any:
        served = serve(cascade(), **options)
        served.pools["small-a"].confidence = small
        served.pools["mid-a"].confidence = served.pools["mid-b"].confidence = mid
        return served

    return make


def as_planned(confidence: list[float | None], thresholds: list[float], loads: list[float]) -> int:
    """Who answers, as the plan says it."""
    asked = [index for index, load in enumerate(loads) if load > 0]
    for index in asked[:-1]:
        sure = confidence[index]
        # Nobody has to be checked whose answers all pass.
        if thresholds[index] <= 0 or (sure is not None and sure >= thresholds[index]):
            return index
    return asked[-1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    confidence=st.lists(st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=3, max_size=3),
    thresholds=st.lists(st.sampled_from([-1.0, 0.0, 0.24, 0.51, 1.5]), min_size=2, max_size=2),
    loads=st.sampled_from([[1.0, 0.5, 0.2], [1.0, 0.0, 0.3], [0.0, 1.0, 0.3], [1.0, 0.4, 0.0]]),
)
def test_who_answers_is_whom_the_plan_says(
    cascade: Callable[..., Any],
    pool: Any,
    confidence: list[float | None],
    thresholds: list[float],
    loads: list[float],
) -> None:
    names = cascade().routing.models
    chooser = Chooser(cascade(thresholds=thresholds, loads=loads), None)
    query = parse_query(CHAT, json.dumps(body()).encode(), 1000)
    dropped: list[Checked | None] = []
    asked: list[str] = []

    async def ask(attempt: Attempt, query: Query) -> Opened:
        asked.append(attempt.model)
        sure = confidence[names.index(attempt.model)]
        backend = pool(attempt.pool, confidence=sure)
        return Opened(await backend.answer(EngineRequest(CHAT, query.rest, "r")))

    found = asyncio.run(climb(chooser.choose(query, {}, None), query, chooser, ask, dropped.append))
    model = found.attempt.model if isinstance(found, Checked) else found.model
    assert model == names[as_planned(confidence, thresholds, loads)]
    given_up = asked[:-1] if isinstance(found, Checked) else asked
    assert [each.attempt.model for each in dropped if each is not None] == given_up
    assert asked == sorted(asked, key=names.index)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_a_sure_answer_is_given_and_nobody_else_asked(
    start: Callable[..., Any], path: str, stream: bool
) -> None:
    served = start(small=0.6)
    answer = served.client.post(path, json=body(path, stream=stream, x_new=1))
    assert text_of(answer) == "small-a says hello"
    assert answer.headers["x-boute-model"] == "small"
    assert answer.headers["x-boute-confidence"] == "0.6000"
    assert '"logprob"' not in answer.text
    assert asked(served) == {"small-a": 1}
    sent = json.loads(served.pools["small-a"].seen[0].body)
    assert sent == body(path, model="small", x_new=1, logprobs=True if path == CHAT else 1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_an_unsure_answer_is_not_seen_and_the_next_model_asked(
    start: Callable[..., Any], path: str, stream: bool
) -> None:
    served = start(small=0.4, mid=0.1)
    answer = served.client.post(path, json=body(path, stream=stream))
    if path == CHAT or not stream:
        assert text_of(answer) == "big-a says hello"
    assert answer.headers["x-boute-model"] == "big"
    assert "x-boute-confidence" not in answer.headers
    assert asked(served) == {"small-a": 1, "mid-a": 1, "big-a": 1}
    ids = [pool.seen[0].request_id for pool in served.pools.values() if pool.seen]
    assert len(set(ids)) == 3
    # The last is asked what the client asked, and passes through.
    sent = json.loads(served.pools["big-a"].seen[0].body)
    assert "logprobs" not in sent
    assert bool(sent["stream"]) == stream


def test_as_sure_as_the_threshold_is_sure_enough(
    serve: Callable[..., Any], cascade: Callable[..., Any]
) -> None:
    # A mean of logarithms of 1/4 has no rounding.
    served = serve(cascade(thresholds=[0.25, 0.4]))
    served.pools["small-a"].confidence = 0.25
    assert text_of(served.client.post(CHAT, json=body())) == "small-a says hello"


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_and_usage_go_to_who_asked(
    start: Callable[..., Any], stream: bool
) -> None:
    served = start()
    options = {"stream_options": {"include_usage": True}} if stream else {}
    answer = served.client.post(CHAT, json=body(stream=stream, logprobs=True, **options))
    assert '"logprob":' in answer.text
    assert '"total_tokens":10' in answer.text
    silent = served.client.post(CHAT, json=body(stream=stream))
    assert '"logprob":' not in silent.text
    assert ('"usage"' in silent.text) == (not stream)


def test_what_was_paid_is_logged_and_counted(start: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    served = start(small=0.4, mid=0.8, access_log=str(path))
    served.client.post(CHAT, json=body())
    assert counts(served, "boute_escalation_total") == {'model="small",reason="unsure"': 1}
    assert counts(served, "boute_confidence_count") == {'model="small"': 1, 'model="mid"': 1}
    assert counts(served, "boute_discarded_tokens_total") == {'model="small",pool="small-a"': 3}
    assert counts(served, "boute_generation_tokens_total") == {'model="mid",pool="mid-a"': 3}
    assert counts(served, "boute_request_success_total") == {'model="mid",pool="mid-a"': 1}
    assert not counts(served, "boute_fallback_total")
    assert not counts(served, "boute_num_requests_running")
    fields = log_of(served, path)
    told = {"model": "mid", "outcome": "ok", "attempts": 2, "discarded": 1, "score": None}
    told |= {"input_tokens": 7, "output_tokens": 3, "paid_input_tokens": 14}
    assert told | {"paid_output_tokens": 6} == {
        name: fields[name] for name in [*told, "paid_output_tokens"]
    }
    assert fields["confidence"] == pytest.approx(0.8)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (EngineError("gone"), "failed"),
        (BUSY, "failed"),
        (REFUSAL, "failed"),
        (Answer(200, b"<html>"), "failed"),
        (Answer(200, b'{"choices": []}'), "failed"),
        (Answer(200, b'{"choices": [{"message": {"content": ""}}]}'), "unknown"),
        (Answer(200, b'{"choices": [{"message": {"content": "hi"}}]}'), "unknown"),
    ],
    ids=repr,
)
def test_no_answer_that_can_be_checked_is_as_good_as_an_unsure_one(
    start: Callable[..., Any], trouble: Any, reason: str, stream: bool
) -> None:
    served = start()
    served.pools["small-a"].script.extend([trouble] * 9)
    answer = served.client.post(CHAT, json=body(stream=stream))
    assert text_of(answer) == "mid-a says hello"
    assert counts(served, "boute_escalation_total") == {f'model="small",reason="{reason}"': 1}
    assert not counts(served, "boute_num_requests_running")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("trouble", [EngineError("gone"), BUSY, REFUSAL], ids=repr)
def test_an_unsure_answer_is_better_than_none(
    start: Callable[..., Any], tmp_path: Path, trouble: Any, stream: bool
) -> None:
    path = tmp_path / "access.jsonl"
    served = start(small=0.4, access_log=str(path))
    for name in ("mid-a", "mid-b", "big-a"):
        served.pools[name].script.extend([trouble] * 9)
    answer = served.client.post(CHAT, json=body(stream=stream))
    assert text_of(answer) == "small-a says hello"
    assert answer.headers["x-boute-model"] == "small"
    assert answer.headers["x-boute-confidence"] == "0.4000"
    assert not counts(served, "boute_num_requests_running")
    assert counts(served, "boute_request_success_total") == {'model="small",pool="small-a"': 1}
    fields = log_of(served, path)
    told = {"model": "small", "outcome": "ok", "discarded": 0, "paid_output_tokens": 3}
    assert told == {name: fields[name] for name in told}


def test_the_better_of_two_unsure_answers_is_the_larger_model_s(start: Callable[..., Any]) -> None:
    served = start(small=0.4, mid=0.3)
    served.pools["big-a"].script.extend([BUSY] * 9)
    assert text_of(served.client.post(CHAT, json=body())) == "mid-a says hello"


def test_where_nobody_answers_the_client_is_told(start: Callable[..., Any]) -> None:
    served = start()
    for pool in served.pools.values():
        pool.script.extend([EngineError("gone")] * 9)
    answer = served.client.post(CHAT, json=body())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_error")
    assert not counts(served, "boute_num_requests_running")
    # A request that is wrong is refused by the last as by the others.
    for pool in served.pools.values():
        pool.script.clear()
        pool.script.append(REFUSAL)
    answer = served.client.post(CHAT, json=body())
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400)


@pytest.mark.parametrize("stream", [False, True])
def test_at_the_deadline_what_there_is_is_given(start: Callable[..., Any], stream: bool) -> None:
    served = start(small=0.4)
    served.pools["mid-a"].script.append("hang")
    headers = {"x-boute-deadline-s": "0.5"}
    answer = served.client.post(CHAT, json=body(stream=stream), headers=headers)
    assert text_of(answer) == "small-a says hello"
    assert served.pools["mid-a"].cancelled == 1
    assert not counts(served, "boute_num_requests_running")


def test_a_client_that_hangs_up_ends_the_work_and_what_was_paid_is_logged(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "access.jsonl"
    served = start(small=0.4, access_log=str(path))
    mid = served.pools["mid-a"]
    mid.script.append("hang")
    with served.connect(json.dumps(body()).encode()):
        served.until(lambda: mid.running == 1)
    served.until(lambda: mid.cancelled == 1)
    served.until(lambda: served.gateway.admission.running == 0)
    assert not counts(served, "boute_num_requests_running")
    fields = log_of(served, path)
    assert (fields["outcome"], fields["model"], fields["discarded"]) == ("cancelled", "mid", 1)
    assert (fields["output_tokens"], fields["paid_output_tokens"]) == (None, 3)


def test_what_cannot_be_checked_goes_to_the_last_at_once(start: Callable[..., Any]) -> None:
    served = start()
    answer = served.client.post("/v1/completions", json=body("/v1/completions", echo=True))
    assert text_of(answer) == "big-a says hello"
    assert asked(served) == {"big-a": 1}
    assert not counts(served, "boute_escalation_total")


def test_a_model_that_is_named_answers_without_a_check(start: Callable[..., Any]) -> None:
    served = start(small=0.1)
    answer = served.client.post(CHAT, json=body(model="small"))
    assert text_of(answer) == "small-a says hello"
    assert "logprobs" not in json.loads(served.pools["small-a"].seen[0].body)


def test_the_policy_changes_live(
    serve: Callable[..., Any], live: Callable[..., Any], cascade: Callable[..., Any]
) -> None:
    served = serve(live())
    hard = {"x-boute-score": "0.9"}
    assert text_of(served.client.post(CHAT, json=body(), headers=hard)) == "big-a says hello"
    served.loop.call_soon_threadsafe(served.gateway.reconfigure, cascade())
    served.until(lambda: served.gateway.state().live == cascade())
    assert text_of(served.client.post(CHAT, json=body(), headers=hard)) == "small-a says hello"
    (now,) = served.client.get("/metrics/scores").json()["plans"]
    assert now["thresholds"] == []
