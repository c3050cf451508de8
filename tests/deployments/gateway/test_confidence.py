from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.deployments.gateway.bodies import Query, parse_query
from boute.deployments.gateway.confidence import asking, read_answer

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
MESSAGES = [{"role": "user", "content": "hi"}]


def query(path: Any = CHAT, **more: Any) -> Query:
    asked = {"messages": MESSAGES} if path == CHAT else {"prompt": "hi"}
    return parse_query(path, json.dumps({"model": "boute", **asked, **more}).encode(), 1000)


def chat_choice(logprobs: Sequence[Any] | None, content: Any = "yes", **message: Any) -> Any:
    told = None if logprobs is None else {"content": [{"logprob": each} for each in logprobs]}
    said = {"role": "assistant", "content": content, **message}
    return {"index": 0, "message": said, "logprobs": told, "finish_reason": "stop"}


def text_choice(logprobs: Sequence[Any] | None) -> Any:
    told = None if logprobs is None else {"token_logprobs": logprobs}
    return {"index": 0, "text": "yes", "logprobs": told, "finish_reason": "stop"}


def confidence(*choices: Any, path: Any = CHAT, **more: Any) -> float | None:
    asked = asking(query(path, **more))
    assert asked is not None
    said = read_answer(json.dumps({"choices": choices}).encode(), asked)
    assert said is not None
    return said.confidence


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=30))
def test_confidence_is_the_geometric_mean_of_the_probabilities(chances: list[float]) -> None:
    logprobs = [math.log(chance) for chance in chances]
    expected = math.prod(chance ** (1 / len(chances)) for chance in chances)
    assert confidence(chat_choice(logprobs)) == pytest.approx(expected)
    assert confidence(text_choice(logprobs), path=TEXT) == pytest.approx(expected)


def test_a_token_that_cannot_be_is_no_confidence_at_all() -> None:
    assert confidence(chat_choice([-0.1, -math.inf])) == 0.0
    assert confidence(chat_choice([-9999.0])) == 0.0
    assert confidence(chat_choice([1e-12])) == 1.0


@pytest.mark.parametrize(
    "choice",
    [
        chat_choice(None),
        chat_choice([]),
        chat_choice([None]),
        chat_choice(["sure"]),
        chat_choice([math.nan]),
        chat_choice([math.inf, -math.inf]),
        chat_choice([-0.1], content=""),
        chat_choice([-0.1], content=None),
        chat_choice([-0.1]) | {"logprobs": "none"},
        chat_choice([-0.1]) | {"logprobs": {"content": 3}},
    ],
    ids=str,
)
def test_what_cannot_be_told_is_no_number(choice: Any) -> None:
    assert confidence(choice) is None


def test_a_call_of_a_tool_is_an_answer() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    choice = chat_choice([math.log(0.5)], content=None, tool_calls=[call])
    assert confidence(choice) == pytest.approx(0.5)


def test_the_least_sure_of_several_answers_counts() -> None:
    sure, unsure = chat_choice([math.log(0.9)]), chat_choice([math.log(0.2)])
    assert confidence(sure, unsure, n=2) == pytest.approx(0.2)
    assert confidence(sure, chat_choice(None), n=2) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"null", b'{"choices": []}', b'{"choices": 1}', b'{"choices": [1]}',
     b'{"choices": [{}]}', b'{"choices": [{"message": null}]}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_what_is_not_an_answer(body: bytes) -> None:
    asked = asking(query())
    assert asked is not None
    assert read_answer(body, asked) is None


@pytest.mark.parametrize(
    ("path", "given", "sent", "shown"),
    [
        (CHAT, {}, True, False),
        (CHAT, {"logprobs": False}, True, False),
        (CHAT, {"logprobs": None}, True, False),
        (CHAT, {"logprobs": None, "top_logprobs": None}, True, False),
        (CHAT, {"logprobs": True, "top_logprobs": 3}, True, True),
        (TEXT, {}, 1, False),
        (TEXT, {"logprobs": None}, 1, False),
        (TEXT, {"logprobs": 0}, 0, True),
        (TEXT, {"logprobs": 5}, 5, True),
    ],
)
def test_log_probabilities_are_asked_for_and_shown_to_who_asked(
    path: Any, given: dict[str, Any], sent: Any, shown: bool
) -> None:
    original = query(path, stream=True, stream_options={"include_usage": True}, x=2**70, **given)
    asked = asking(original)
    assert asked is not None
    body = json.loads(asked.query.body_for("small"))
    assert (body["model"], body["logprobs"], body["x"]) == ("small", sent, 2**70)
    assert type(body["logprobs"]) is type(sent)
    assert not {"stream", "stream_options"} & set(body)
    assert ("top_logprobs" in body) == ("top_logprobs" in given and shown)
    assert not asked.query.stream
    choice = chat_choice([-0.1]) if path == CHAT else text_choice([-0.1])
    said = read_answer(json.dumps({"id": "a", "choices": [choice]}).encode(), asked)
    assert said is not None
    assert said.answer["id"] == "a"
    assert said.answer["choices"] == [choice if shown else choice | {"logprobs": None}]


def test_an_echo_cannot_be_checked() -> None:
    assert asking(query(TEXT, echo=True)) is None
    assert asking(query(TEXT, echo=False)) is not None
