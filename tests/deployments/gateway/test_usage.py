from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.deployments.gateway.usage import StreamUsage, usage_in

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def event(end: str = "\n\n", **data: Any) -> bytes:
    return f"data: {json.dumps(data, separators=(',', ':'))}{end}".encode()


WORD = event(choices=[{"delta": {"content": "x"}}])
LAST = event(choices=[], usage=USAGE)
DONE = b"data: [DONE]\n\n"


def test_the_event_of_the_usage_is_taken_out_wherever_it_is() -> None:
    for chunks in ([LAST], [WORD + LAST + DONE], [LAST + DONE]):
        usage = StreamUsage(wanted=False)
        seen = b"".join(usage.passed(chunk) for chunk in chunks)
        assert seen == b"".join(chunks).replace(LAST, b"")
        assert usage.tokens == (7, 3)


def test_events_that_end_in_other_ways_and_in_spaces() -> None:
    usage = StreamUsage(wanted=False)
    last = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}\r\n\r\n'
    word = WORD.replace(b"\n\n", b"\r\n\r\n")
    assert usage.passed(word + last) == word
    assert usage.tokens == (7, 3)


def test_a_usage_that_was_asked_for_stays() -> None:
    usage = StreamUsage(wanted=True)
    empty = event(choices=[{"delta": {}}], usage=None)
    assert usage.passed(empty + LAST) == empty + LAST
    assert usage.tokens == (7, 3)


def test_an_empty_usage_is_taken_out_of_other_events() -> None:
    usage = StreamUsage(wanted=False)
    assert usage.passed(event(choices=[{"delta": {}}], usage=None)) == event(
        choices=[{"delta": {}}]
    )


def test_a_usage_beside_choices_stays() -> None:
    both = event(choices=[{"delta": {"content": "x"}}], usage=USAGE)
    usage = StreamUsage(wanted=False)
    assert usage.passed(both) == both
    assert usage.tokens == (7, 3)


@given(st.text())
def test_text_that_looks_like_a_usage_is_text(text: str) -> None:
    for said in (text, f'{text},"usage":null', f'"usage":{{"prompt_tokens":1}}{text}', "usage"):
        chunk = event(choices=[{"delta": {"content": said}}])
        usage = StreamUsage(wanted=False)
        assert usage.passed(chunk) == chunk
        assert usage.tokens == (None, None)
        assert usage_in(chunk) is None


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        (b"", None),
        (b'{"usage":null}', None),
        (b'{"usage":{"prompt_tokens":1', None),
        (b'{"usage":' + b'{"a":' * 10_000, None),
        (b'{"usage":{}}', (None, None)),
        (b'{"usage":{"prompt_tokens":true,"completion_tokens":"3"}}', (None, None)),
        (b'{"choices":[{"usage":{"prompt_tokens":9}}],"usage" : {"prompt_tokens":1}}', (1, None)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_usages_of_all_kinds(answer: bytes, tokens: Any) -> None:
    assert usage_in(answer) == tokens
