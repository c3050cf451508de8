"""What every engine has to do, whatever it stands on. The last tests end it."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from boute.deployments.engines.base import Answer, EngineError, EngineRequest
from boute.deployments.gateway.bodies import parse_query
from boute.deployments.gateway.confidence import asking, read_answer

pytestmark = [
    # vLLM and Ray warn of their own and of each other's old ways.
    pytest.mark.filterwarnings("ignore"),
]

CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"
MESSAGES = [{"role": "user", "content": "What is seven times six?"}]
LONG = 300


def body_of(path: str, **fields: Any) -> dict[str, Any]:
    asked = {"messages": MESSAGES} if path == CHAT else {"prompt": [10, 11, 12, 13, 14, 15, 16]}
    fixed = {"model": "tiny", "max_tokens": 5, "temperature": 0, "ignore_eos": True}
    return fixed | asked | fields


def request_of(path: str, **fields: Any) -> EngineRequest:
    return EngineRequest(path, json.dumps(body_of(path, **fields)).encode(), "a-request")


async def streamed(engine: Any, request: EngineRequest) -> tuple[Answer, list[Any]]:
    """The head of a stream, and its events as they were read."""
    async with aclosing(engine.stream(request)) as items:
        head = await anext(items)
        assert isinstance(head, Answer)
        chunks = [chunk async for chunk in items]
    text = b"".join(chunks).decode()
    # Each piece holds whole events.
    assert all(chunk.endswith(b"\n\n") for chunk in chunks)
    events = text.removesuffix("\n\n").split("\n\n") if text else []
    assert all(event.startswith("data: ") for event in events)
    return head, [event.removeprefix("data: ") for event in events]


def text_of(path: str, choice: dict[str, Any]) -> str:
    said = choice.get("message") or choice.get("delta") or {}
    return (said.get("content") if path == CHAT else choice["text"]) or ""


@pytest.mark.parametrize("path", [CHAT, COMPLETION])
def test_streamed_and_whole_answers_agree(case, path):
    answer = case.run(case.engine.answer(request_of(path)))
    assert (answer.status, answer.media_type) == (200, "application/json")
    whole = json.loads(answer.body)
    assert whole["model"] == "tiny"
    assert whole["object"] == ("chat.completion" if path == CHAT else "text_completion")

    head, events = case.run(streamed(case.engine, request_of(path, stream=True)))
    assert (head.status, head.body, head.media_type) == (200, b"", "text/event-stream")
    assert events[-1] == "[DONE]"
    parsed = [json.loads(event) for event in events[:-1]]
    kind = "chat.completion.chunk" if path == CHAT else "text_completion"
    assert {event["object"] for event in parsed} == {kind}
    assert {event["model"] for event in parsed} == {"tiny"}
    choices = [choice for event in parsed for choice in event["choices"]]
    ends = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    assert ends == [whole["choices"][0]["finish_reason"]] == ["length"]
    if case.real:
        assert "".join(text_of(path, c) for c in choices) == text_of(path, whole["choices"][0])
    assert all("usage" not in event or event["usage"] is None for event in parsed)


@pytest.mark.parametrize("path", [CHAT, COMPLETION])
def test_usage_is_there_when_asked_for_and_right(case, path):
    asked = request_of(path, stream=True, stream_options={"include_usage": True})
    _, events = case.run(streamed(case.engine, asked))
    last = json.loads(events[-2])
    assert last["choices"] == []
    whole = json.loads(case.run(case.engine.answer(request_of(path))).body)
    for usage in (last["usage"], whole["usage"]):
        assert usage["completion_tokens"] == 5
        assert usage["total_tokens"] == usage["prompt_tokens"] + 5
        if path == COMPLETION:
            assert usage["prompt_tokens"] == 7
    assert last["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"]


@pytest.mark.parametrize("path", [CHAT, COMPLETION])
def test_several_answers_to_one_request(case, path):
    whole = json.loads(case.run(case.engine.answer(request_of(path, n=3, temperature=1))).body)
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    assert whole["usage"]["completion_tokens"] == 15
    _, events = case.run(streamed(case.engine, request_of(path, n=3, temperature=1, stream=True)))
    choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
    assert {choice["index"] for choice in choices} == {0, 1, 2}
    assert sum(choice["finish_reason"] == "length" for choice in choices) == 3


@pytest.mark.parametrize("path", [CHAT, COMPLETION])
def test_how_sure_an_answer_is_can_be_told(case, path):
    asked = asking(parse_query(path, json.dumps(body_of(path)).encode(), 1000))
    request = EngineRequest(path, asked.query.body_for("tiny"), "a-request")
    answer = case.run(case.engine.answer(request))
    said = read_answer(answer.body, asked)
    assert 0 < said.confidence <= 1
    if case.real:
        plain = json.loads(case.run(case.engine.answer(request_of(path))).body)
        assert said.answer["choices"] == plain["choices"]


WRONG = {
    "no object": (CHAT, b"[1, 2]"),
    "not JSON": (CHAT, b'{"model": "tiny", '),
    "no messages": (CHAT, json.dumps({"model": "tiny"}).encode()),
    "messages of no list": (CHAT, json.dumps({"model": "tiny", "messages": 3}).encode()),
    "no prompt": (COMPLETION, json.dumps({"model": "tiny", "prompt": None}).encode()),
    "negative tokens": (COMPLETION, json.dumps(body_of(COMPLETION, max_tokens=-1)).encode()),
    "n of no number": (COMPLETION, json.dumps(body_of(COMPLETION, n="many")).encode()),
    "too long": (COMPLETION, json.dumps(body_of(COMPLETION, prompt=[5] * 600)).encode()),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_request_is_refused_in_openai_s_shape(case, wrong):
    path, body = WRONG[wrong]
    refusals = [case.run(case.engine.answer(EngineRequest(path, body, "wrong")))]
    if wrong not in ("no object", "not JSON"):
        body = json.dumps(json.loads(body) | {"stream": True}).encode()
        head, events = case.run(streamed(case.engine, EngineRequest(path, body, "wrong")))
        assert events == []
        refusals.append(head)
    for refusal in refusals:
        assert 400 <= refusal.status < 500
        error = json.loads(refusal.body)["error"]
        assert error["message"]
        assert {"message", "type", "param", "code"} <= error.keys()
    case.run(case.unoccupied())


def test_a_cancelled_answer_frees_its_place(case):
    async def cancel() -> None:
        task = asyncio.create_task(case.engine.answer(request_of(CHAT, max_tokens=LONG)))
        while not case.engine.unfinished():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await case.unoccupied()

    case.run(cancel())


def test_a_stream_closed_early_frees_its_place(case):
    async def close() -> None:
        items = case.engine.stream(request_of(CHAT, max_tokens=LONG, stream=True))
        assert (await anext(items)).status == 200
        assert isinstance(await anext(items), bytes)
        assert case.engine.unfinished()
        await items.aclose()
        await case.unoccupied()

    case.run(close())


def test_a_stream_cancelled_while_it_waits_frees_its_place(case):
    async def cancel() -> None:
        request = request_of(CHAT, max_tokens=LONG, stream=True)
        task = asyncio.create_task(streamed(case.engine, request))
        while not case.engine.unfinished():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await case.unoccupied()

    case.run(cancel())


def test_sixteen_at_a_time(case):
    async def all_at_once() -> list[Any]:
        def one(number: int) -> Any:
            prompt = [10 + number] * (number + 1)
            return case.engine.answer(
                EngineRequest(
                    COMPLETION,
                    json.dumps(body_of(COMPLETION, prompt=prompt, max_tokens=20)).encode(),
                    f"one-of-16-{number}",
                )
            )

        return await asyncio.gather(*map(one, range(16)))

    for number, answer in enumerate(case.run(all_at_once())):
        assert answer.status == 200
        usage = json.loads(answer.body)["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (number + 1, 20)
    case.run(case.unoccupied())


def test_what_vllm_can_do_reaches_the_client(case):
    if not case.real:
        pytest.skip("an engine without a model")
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    request = request_of(CHAT, logprobs=True, top_logprobs=2, tools=tools, tool_choice="none")
    whole = json.loads(case.run(case.engine.answer(request)).body)
    logprobs = whole["choices"][0]["logprobs"]["content"]
    assert [len(token["top_logprobs"]) for token in logprobs] == [2] * 5
    first = logprobs[0]["token"]
    stopped = json.loads(case.run(case.engine.answer(request_of(CHAT, stop=[first]))).body)
    assert stopped["choices"][0]["finish_reason"] == "stop"
    other = EngineRequest(CHAT, json.dumps(body_of(CHAT, model="another")).encode(), "other")
    if case.engine.__class__.__name__ != "ProcessEngine":  # its relay puts the right name in
        assert case.run(case.engine.answer(other)).status == 404


def test_figures_are_text(case):
    figures = case.run(case.engine.metrics())
    assert isinstance(figures, str)
    if case.real:
        assert "vllm:generation_tokens_total" in figures
    if case.engine.__class__.__name__ == "VLLMEngine":
        assert 'boute_engine_info{engine="vLLM",version="' in figures


def test_a_dead_engine_says_so(case):
    case.run(case.engine.check())
    case.kill()

    async def until_noticed() -> None:
        while True:
            try:
                await case.engine.check()
            except EngineError:
                return
            await asyncio.sleep(0.05)

    case.run(until_noticed())
    with pytest.raises(EngineError):
        case.run(case.engine.answer(request_of(CHAT)))
    with pytest.raises(EngineError):
        case.run(streamed(case.engine, request_of(CHAT, stream=True)))


def test_an_engine_can_be_stopped_twice(case):
    case.run(case.engine.stop())
    case.run(case.engine.stop())
    assert case.engine.unfinished() == 0
    with pytest.raises(EngineError):
        case.run(case.engine.check())
    with pytest.raises(EngineError):
        case.run(case.engine.answer(request_of(CHAT)))
