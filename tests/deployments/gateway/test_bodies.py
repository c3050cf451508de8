from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.deployments.engines.base import OpenAIPath
from boute.deployments.gateway.bodies import ClientGoneError, Query, parse_query, read_body
from boute.deployments.gateway.errors import RequestError

CHAT: OpenAIPath = "/v1/chat/completions"
TEXT: OpenAIPath = "/v1/completions"

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def parse(body: Any, path: OpenAIPath = CHAT, most: int = 1000) -> Query:
    return parse_query(path, json.dumps(body).encode(), most)


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "boute", "messages": list(messages), **more}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@given(st.dictionaries(st.text(), plain, max_size=5), st.text())
def test_everything_but_the_model_goes_on_as_it_was(more: dict[str, Any], model: str) -> None:
    body = more | chat(user("hi"), stream=False)
    sent = json.loads(parse(body).body_for(model))
    assert sent == body | {"model": model}


@given(st.one_of(st.binary(max_size=200), plain.map(lambda data: json.dumps(data).encode())))
def test_whatever_comes_is_a_query_or_an_error_of_the_client(body: bytes) -> None:
    for path in (CHAT, TEXT):
        status = 200
        try:
            parse_query(path, body, 1000)
        except RequestError as error:
            status = error.status
        assert status in (200, 400, 413)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"model": "x", "prompt": "y", "seed": NaN}',
        b'{"model": "x", "prompt": "y", "seed": 1e999}',
        b'{"model": "x", "prompt": "y", "seed": 1' + b"0" * 5000 + b"}",
        b'{"model": "x", "prompt": ' + b"[" * 100_000,
        b'{"model": "x", "prompt": "y", "a": ' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"model": "x", "prompt": "y", "a": ' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}",
    ],
    ids=lambda body: repr(body[:60]),
)
def test_bodies_that_are_not_read(body: bytes) -> None:
    with pytest.raises(RequestError) as wrong:
        parse_query(TEXT, body, 1000)
    assert wrong.value.status == 400


def test_many_brackets_are_not_deep() -> None:
    body = chat(*[user([{"type": "text", "text": "x"}])] * 200)
    assert parse(body).text == "x"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"messages": [user("x")]}, "model"),
        (CHAT, {"model": 1, "messages": [user("x")]}, "model"),
        (CHAT, {"model": "x"}, "messages"),
        (CHAT, {"model": "x", "messages": []}, "messages"),
        (CHAT, {"model": "x", "messages": ["hi"]}, "messages"),
        (CHAT, chat(user("x"), stream="yes"), "stream"),
        (TEXT, {"model": "x"}, "prompt"),
        (TEXT, {"model": "x", "prompt": []}, "prompt"),
        (TEXT, {"model": "x", "prompt": {}}, "prompt"),
    ],
)
def test_fields_of_a_wrong_type_are_named(path: OpenAIPath, body: Any, param: str) -> None:
    with pytest.raises(RequestError) as wrong:
        parse(body, path)
    assert (wrong.value.status, wrong.value.param) == (400, param)


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (CHAT, chat(user("one"), {"role": "assistant", "content": "two"}), "one"),
        (CHAT, chat(user("one"), user("two"), {"role": "tool", "content": "3"}), "two"),
        (CHAT, chat(user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])), "a\nb"),
        (CHAT, chat(user([{"type": "image_url", "image_url": {"url": "x"}}])), None),
        (CHAT, chat({"role": "system", "content": "x"}), None),
        (CHAT, chat(user(None)), None),
        (CHAT, chat(user("")), ""),
        (TEXT, {"model": "x", "prompt": "a"}, "a"),
        (TEXT, {"model": "x", "prompt": ["a", "b"]}, "a"),
        (TEXT, {"model": "x", "prompt": [1, 2]}, None),
        (TEXT, {"model": "x", "prompt": [[1], [2, 3]]}, None),
    ],
)
def test_the_text_that_is_scored(path: OpenAIPath, body: Any, text: str | None) -> None:
    assert parse(body, path).text == text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat(user("x" * 6), {"role": "system", "content": "x" * 5})),
        (CHAT, chat(user([{"type": "text", "text": "x" * 11}]))),
        (TEXT, {"model": "x", "prompt": ["x" * 6, "x" * 5]}),
        (TEXT, {"model": "x", "prompt": [1] * 11}),
        (TEXT, {"model": "x", "prompt": [[1] * 6, [2] * 5]}),
    ],
)
def test_prompts_have_a_limit(path: OpenAIPath, body: Any) -> None:
    parse(body, path, most=11)
    with pytest.raises(RequestError) as wrong:
        parse(body, path, most=10)
    assert wrong.value.status == 413


@pytest.mark.parametrize(
    ("options", "sent", "wanted"),
    [
        (None, {"include_usage": True}, False),
        ({"include_usage": False, "x": 1}, {"include_usage": True, "x": 1}, False),
        ({"continuous_usage_stats": True}, {"include_usage": True}, False),
        (
            {"include_usage": True, "continuous_usage_stats": True},
            {"include_usage": True, "continuous_usage_stats": True},
            True,
        ),
        ("wrong", "wrong", True),
    ],
)
def test_streams_are_asked_for_their_usage(options: Any, sent: Any, wanted: bool) -> None:
    query = parse(chat(user("x"), stream=True, stream_options=options))
    assert json.loads(query.rest)["stream_options"] == sent
    assert query.wants_usage == wanted
    whole = parse(chat(user("x"), stream_options=options))
    assert json.loads(whole.rest)["stream_options"] == options


def read(
    *messages: dict[str, Any], most: int = 10, headers: dict[bytes, bytes] | None = None
) -> bytes:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    return asyncio.run(read_body(receive, headers or {}, most))


def part(body: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_is_read_up_to_its_limit() -> None:
    assert read({"type": "http.request"}) == b""
    assert read(part(b"12345", True), part(b"67890", False)) == b"1234567890"
    with pytest.raises(RequestError) as wrong:
        read(part(b"12345", True), part(b"678901", True))
    assert wrong.value.status == 413
    with pytest.raises(RequestError):
        read(headers={b"content-length": b"11"})
    with pytest.raises(ClientGoneError):
        read(part(b"1", True), {"type": "http.disconnect"})
