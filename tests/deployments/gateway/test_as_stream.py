from __future__ import annotations

import json
from typing import Any

import pytest

from boute.deployments.gateway.as_stream import as_stream
from boute.deployments.gateway.usage import StreamUsage

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def answer(*choices: Any, kind: str = "chat.completion") -> dict[str, Any]:
    head = {"id": "a", "object": kind, "created": 1, "model": "small", "service_tier": None}
    return {**head, "choices": list(choices), "usage": USAGE}


def chat(content: Any, index: int = 0, logprobs: Any = None, **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": content, "refusal": None, **message}
    end = {"logprobs": logprobs, "finish_reason": "stop", "stop_reason": None}
    return {"index": index, "message": said, **end}


def events(stream: bytes) -> list[Any]:
    *parts, done, rest = stream.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(part.removeprefix("data: ")) for part in parts]


def test_a_chat_says_what_was_said_and_then_why_it_ended() -> None:
    logprobs = {"content": [{"token": "hi", "logprob": -0.1}]}
    said, ended = events(as_stream(answer(chat("hi", logprobs=logprobs)), chat=True, usage=False))
    assert said["object"] == ended["object"] == "chat.completion.chunk"
    assert (said["id"], said["created"], said["model"]) == ("a", 1, "small")
    assert said["choices"] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "hi"},
            "logprobs": logprobs,
            "finish_reason": None,
        }
    ]
    (end,) = ended["choices"]
    assert (end["index"], end["delta"], end["finish_reason"]) == (0, {}, "stop")
    assert end["logprobs"] is None


def test_openai_s_own_client_reads_it() -> None:
    chunks = pytest.importorskip("openai.types.chat.chat_completion_chunk")
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    whole = answer(chat("one"), chat(None, 1, tool_calls=[call]))
    read = [
        chunks.ChatCompletionChunk.model_validate(event)
        for event in events(as_stream(whole, chat=True, usage=True))
    ]
    assert [choice.index for chunk in read for choice in chunk.choices] == [0, 0, 1, 1]
    (named,) = read[2].choices[0].delta.tool_calls
    assert (named.index, named.function.name) == (0, "f")
    assert read[-1].usage.total_tokens == 10


def test_a_completion_is_one_event_a_choice() -> None:
    choice = {"index": 0, "text": "hi", "logprobs": None, "finish_reason": "length"}
    whole = answer(choice, choice | {"index": 1}, kind="text_completion")
    first, second = events(as_stream(whole, chat=False, usage=False))
    assert first["choices"] == [choice]
    assert second["choices"] == [choice | {"index": 1}]
    assert first["object"] == "text_completion"


@pytest.mark.parametrize("wanted", [True, False])
def test_the_usage_is_told_to_who_asked(wanted: bool) -> None:
    stream = as_stream(answer(chat("hi")), chat=True, usage=wanted)
    found = [event["usage"] for event in events(stream) if "usage" in event]
    assert found == ([USAGE] if wanted else [])
    reader = StreamUsage(wanted=True)
    assert reader.passed(stream) == stream
    assert reader.tokens == ((7, 3) if wanted else (None, None))
    silent = {name: value for name, value in answer(chat("hi")).items() if name != "usage"}
    assert len(events(as_stream(silent, chat=True, usage=wanted))) == 2
