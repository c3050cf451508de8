from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from boute.deployments.engines.base import Answer, EngineError
from boute.deployments.keys import hash_key

CHAT = "/v1/chat/completions"


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "boute", "messages": [{"role": "user", "content": "hi"}], **more}


def scored(score: float) -> dict[str, str]:
    return {"x-boute-score": str(score)}


def events(answer: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_a_whole_answer_tells_who_gave_it(serve: Callable[..., Any]) -> None:
    served = serve()
    answer = served.client.post(CHAT, json=chat(), headers=scored(0.9))
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "big-a says hello"
    assert answer.headers["x-boute-model"] == "big"
    assert answer.headers["x-boute-pool"] == "big-a"
    assert answer.headers["x-boute-score"] == "0.9000"
    assert answer.headers["x-boute-plan"] == "plan-04"
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.headers["x-request-id"]) == 16


def test_only_the_name_of_the_model_is_changed(serve: Callable[..., Any]) -> None:
    served = serve()
    more = {"tools": [{"a": [1, 2.5, None]}], "n": 2, "x_new": "\ud83d \u00e9", "seed": 2**70}
    served.client.post(CHAT, content=json.dumps(chat(**more)), headers=scored(0.1))
    seen = served.pools["small-a"].seen[0]
    assert json.loads(seen.body) == chat(**more) | {"model": "small"}
    assert seen.path == CHAT


def test_an_answer_with_an_error_of_the_client_is_passed_on(serve: Callable[..., Any]) -> None:
    served = serve()
    refusal = (
        b'{"error": {"message": "too long", "type": "BadRequest", "param": null, "code": 400}}'
    )
    for stream in (False, True):
        served.pools["small-a"].script.append(Answer(400, refusal))
        answer = served.client.post(CHAT, json=chat(stream=stream), headers=scored(0.1))
        assert answer.status_code == 400
        assert answer.content == refusal
        assert answer.headers["x-boute-pool"] == "small-a"
    assert len(served.pools["small-a"].seen) == 2


def test_a_stream_hides_the_usage_that_was_not_asked_for(serve: Callable[..., Any]) -> None:
    served = serve()
    answer = served.client.post(CHAT, json=chat(stream=True), headers=scored(0.1))
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *said, done = events(answer)
    assert done == "[DONE]"
    assert [item["choices"][0]["delta"]["content"] for item in said] == [
        "small-a",
        " says",
        " hello",
    ]
    metrics = served.client.get("/metrics").text
    series = '{model="small",plan="plan-04",pool="small-a",replica=""}'
    assert f"boute_generation_tokens_total{series} 3.0" in metrics
    assert f"boute_num_requests_running{series} 0.0" in metrics


def test_a_stream_keeps_the_usage_that_was_asked_for(serve: Callable[..., Any]) -> None:
    served = serve()
    body = chat(stream=True, stream_options={"include_usage": True, "other": 1})
    answer = served.client.post(CHAT, json=body, headers=scored(0.1))
    assert events(answer)[-2]["usage"]["total_tokens"] == 10
    assert json.loads(served.pools["small-a"].seen[0].body)["stream_options"] == {
        "include_usage": True,
        "other": 1,
    }


def test_each_event_is_sent_as_it_comes(serve: Callable[..., Any]) -> None:
    served = serve()
    served.pools["small-a"].gap_s = 3600.0
    with served.client.stream("POST", CHAT, json=chat(stream=True), headers=scored(0.1)) as answer:
        assert next(answer.iter_lines()).startswith("data: ")
    served.until(lambda: served.pools["small-a"].cancelled == 1)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_ends_the_work(serve: Callable[..., Any], stream: bool) -> None:
    served = serve()
    small = served.pools["small-a"]
    small.script.append("hang")

    with served.connect(json.dumps(chat(stream=stream)).encode()):
        served.until(lambda: small.running == 1)
    served.until(lambda: small.cancelled == 1)
    served.until(lambda: served.gateway.admission.running == 0)
    assert 'outcome="cancelled"' in served.client.get("/metrics").text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "failure", [EngineError("gone"), Answer(503, b"no"), Answer(429, b"{}")], ids=repr
)
def test_a_failure_before_the_first_byte_moves_to_the_next_model(
    serve: Callable[..., Any], stream: bool, failure: Any
) -> None:
    served = serve()
    served.pools["small-a"].script.extend([failure] * 10)
    answer = served.client.post(CHAT, json=chat(stream=stream), headers=scored(0.1))
    assert answer.status_code == 200
    assert answer.headers["x-boute-model"] == "mid"
    assert "mid-a" in answer.text
    assert 'from_pool="small-a"' in served.client.get("/metrics").text


@pytest.mark.parametrize("stream", [False, True])
def test_a_replica_that_died_is_asked_again(serve: Callable[..., Any], stream: bool) -> None:
    served = serve()
    served.pools["small-a"].script.append(EngineError("the replica died"))
    answer = served.client.post(CHAT, json=chat(stream=stream), headers=scored(0.1))
    assert answer.headers["x-boute-pool"] == "small-a"
    ids = [request.request_id for request in served.pools["small-a"].seen]
    assert len(set(ids)) == 2


def test_a_model_asked_for_by_name_is_never_replaced(serve: Callable[..., Any]) -> None:
    served = serve()
    for name in ("mid-a", "mid-b"):
        served.pools[name].script.extend([EngineError("gone")] * 10)
    answer = served.client.post(CHAT, json=chat(model="mid"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-boute-model"] == "mid"
    assert "x-boute-score" not in answer.headers
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert not served.pools["big-a"].seen


def test_an_engine_s_last_refusal_is_passed_on_in_the_right_shape(
    serve: Callable[..., Any],
) -> None:
    served = serve()
    served.pools["big-a"].script.append(Answer(429, b"slow down", "text/plain"))
    answer = served.client.post(CHAT, json=chat(model="big"))
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["message"] == "slow down"


@pytest.mark.parametrize("how", ["break", "cut"])
def test_a_stream_that_breaks_says_so_and_is_not_done(serve: Callable[..., Any], how: str) -> None:
    served = serve()
    served.pools["small-a"].script.append(how)
    answer = served.client.post(CHAT, json=chat(stream=True), headers=scored(0.1))
    assert answer.status_code == 200
    said = events(answer)
    assert len(said) == 4
    assert said[-1]["error"]["code"] == "engine_error"
    assert not served.pools["mid-a"].seen
    assert 'outcome="engine_error"' in served.client.get("/metrics").text


def test_a_pool_that_does_not_begin_is_given_up(serve: Callable[..., Any]) -> None:
    served = serve(limits={"first_byte_s": 0.05})
    served.pools["small-a"].script.append("hang")
    answer = served.client.post(CHAT, json=chat(stream=True), headers=scored(0.1))
    assert answer.headers["x-boute-model"] == "mid"
    assert served.pools["small-a"].cancelled == 1


@pytest.mark.parametrize("stream", [False, True])
def test_the_deadline_of_a_client(serve: Callable[..., Any], stream: bool) -> None:
    served = serve()
    served.pools["big-a"].script.append("hang")
    headers = {"x-boute-deadline-s": "0.05"}
    answer = served.client.post(CHAT, json=chat(model="big", stream=stream), headers=headers)
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "timeout"
    served.until(lambda: served.pools["big-a"].cancelled == 1)


def test_a_deadline_after_the_first_byte_is_an_event(serve: Callable[..., Any]) -> None:
    served = serve(limits={"deadline_s": 0.2})
    served.pools["big-a"].gap_s = 3600.0
    answer = served.client.post(CHAT, json=chat(model="big", stream=True))
    assert answer.status_code == 200
    assert [set(item) for item in events(answer)] == [{"id", "choices"}, {"error"}]
    served.until(lambda: served.pools["big-a"].cancelled == 1)


@pytest.mark.parametrize("given", ["x", "-1", "0", "nan", ""])
def test_a_wrong_deadline(serve: Callable[..., Any], given: str) -> None:
    answer = serve().client.post(CHAT, json=chat(), headers={"x-boute-deadline-s": given})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "x-boute-deadline-s"


def test_a_body_that_does_not_come_is_not_waited_for(serve: Callable[..., Any]) -> None:
    served = serve(limits={"deadline_s": 0.05})
    with served.connect(b'{"model":', of=100) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")
    served.until(lambda: served.gateway.admission.running == 0)


def test_large_bodies_are_refused(serve: Callable[..., Any]) -> None:
    served = serve(limits={"max_body_bytes": 1000})
    answer = served.client.post(CHAT, content=b"x" * 1001)
    assert answer.status_code == 413
    chunked = served.client.post(CHAT, content=iter([b"x" * 600, b"x" * 600]))
    assert chunked.status_code == 413
    assert chunked.json()["error"]["code"] == "request_too_large"


def test_a_request_has_the_name_that_its_client_gave(serve: Callable[..., Any]) -> None:
    served = serve()
    for given in ("mine-1", "mine-1", "not sane", "x" * 101):
        answer = served.client.post(CHAT, json=chat(), headers={"x-request-id": given})
        assert (answer.headers["x-request-id"] == given) == (given == "mine-1")
    ids = [request.request_id for request in served.pools["big-a"].seen]
    assert len(set(ids)) == 4
    assert sum(one.startswith("mine-1-") for one in ids) == 2


def test_limits_on_keys_and_on_all(serve: Callable[..., Any], live: Callable[..., Any]) -> None:
    keys = {
        hash_key("slow"): {"requests_per_minute": 1},
        hash_key("dear"): {"quality": 0.9},
        hash_key("few"): {"models": ["small"]},
    }
    served = serve(live(keys=keys))

    def post(key: str | None, **more: Any) -> httpx.Response:
        headers = scored(0.1) | ({} if key is None else {"authorization": f"Bearer {key}"})
        answer: httpx.Response = served.client.post(CHAT, json=chat(**more), headers=headers)
        return answer

    for missing in (None, "wrong"):
        answer = post(missing)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert post("slow").status_code == 200
    refused = post("slow")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert post("dear").headers["x-boute-model"] == "big"
    assert post("few").status_code == 404
    assert post("few", model="small").status_code == 200


def test_the_limit_on_concurrency(serve: Callable[..., Any]) -> None:
    served = serve(limits={"max_concurrency": 1})
    served.pools["small-a"].gap_s = 3600.0
    with served.client.stream("POST", CHAT, json=chat(stream=True), headers=scored(0.1)):
        assert served.client.post(CHAT, json=chat()).status_code == 429
    served.until(lambda: served.gateway.admission.running == 0)
    assert served.client.post(CHAT, json=chat()).status_code == 200


def test_a_drain_lets_requests_end_and_takes_no_more(serve: Callable[..., Any]) -> None:
    served = serve()
    served.pools["small-a"].gap_s = 0.1
    with served.client.stream("POST", CHAT, json=chat(stream=True), headers=scored(0.1)) as answer:
        closing = threading.Thread(target=served.close)
        closing.start()
        served.until(lambda: served.client.get("/health").status_code == 503)
        refused = served.client.post(CHAT, json=chat())
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "30"
        assert answer.read().endswith(b"data: [DONE]\n\n")
    closing.join()


def test_a_drain_cuts_what_does_not_end(serve: Callable[..., Any]) -> None:
    served = serve(limits={"drain_s": 0.05})
    served.pools["small-a"].gap_s = 3600.0
    with served.client.stream("POST", CHAT, json=chat(stream=True), headers=scored(0.1)) as answer:
        served.close()
        last = answer.read().split(b"\n\n")[-2]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "draining"
    assert served.pools["small-a"].cancelled == 1


def test_a_new_setting_leaves_requests_under_way_alone(
    serve: Callable[..., Any], live: Callable[..., Any]
) -> None:
    served = serve()
    served.pools["small-a"].gap_s = 0.1
    config = live()
    only_big = config.routing.model_copy(update={"thresholds": [-1.0, -1.0]})
    with served.client.stream("POST", CHAT, json=chat(stream=True), headers=scored(0.1)) as answer:
        served.gateway.reconfigure(
            config.model_copy(update={"routing": only_big, "plan": "plan-05"})
        )
        after = served.client.post(CHAT, json=chat(), headers=scored(0.1))
        assert answer.read().endswith(b"data: [DONE]\n\n")
    assert answer.headers["x-boute-plan"] == "plan-04"
    assert after.headers["x-boute-plan"] == "plan-05"
    assert after.headers["x-boute-model"] == "big"


def test_every_request_is_in_the_access_log(serve: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "access.jsonl"
    served = serve(access_log=str(file), log_prompts=True)
    began = time.time()
    served.client.post(CHAT, json=chat(stream=True), headers=scored(0.1))
    served.client.post(CHAT, content=b"{")
    served.client.post(CHAT, json=chat(model="nobody"))
    served.close()
    good, bad, unknown = (json.loads(line) for line in file.read_text().splitlines())
    assert (good["input_tokens"], good["output_tokens"], good["outcome"]) == (7, 3, "ok")
    assert (good["asked_model"], good["model"], good["prompt"]) == ("boute", "small", "hi")
    assert began - 1 < good["arrival"] < time.time() + 1
    assert good["ttft_s"] <= good["e2e_s"]
    assert (bad["status"], bad["outcome"], bad["asked_model"]) == (400, "client_error", None)
    assert (unknown["status"], unknown["asked_model"]) == (404, "nobody")
