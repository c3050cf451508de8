from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.bench.answer import Answer, AnswerError, error_words

KEYS = (
    "choices",
    "delta",
    "content",
    "message",
    "text",
    "usage",
    "error",
    "model",
    "index",
    "prompt_tokens",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


def chunk(**choice: Any) -> bytes:
    return json.dumps({"choices": [{"index": 0, **choice}]}).encode()


def test_the_first_content_is_not_the_first_chunk() -> None:
    answer = Answer()
    answer.event(chunk(delta={"role": "assistant", "content": ""}), 1.0)
    answer.event(chunk(delta={"content": "a"}), 2.0)
    answer.event(chunk(delta={"content": "b"}), 3.0)
    answer.event(chunk(delta={}, finish_reason="stop"), 3.5)
    answer.event(b'{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}', 4.0)
    assert not answer.done
    answer.event(b"[DONE]", 5.0)
    assert answer.done
    assert (answer.content_at_s, answer.last_s, answer.text) == ([2.0, 3.0], 3.5, "ab")
    assert (answer.input_tokens, answer.output_tokens) == (7, 2)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "tool_calls", "refusal"])
def test_all_that_a_model_makes_is_content(name: str) -> None:
    answer = Answer()
    answer.event(chunk(delta={name: "x"}), 1.0)
    assert answer.content_at_s == [1.0]


def test_an_answer_without_content_is_dated_by_its_end() -> None:
    answer = Answer()
    answer.event(chunk(text="", finish_reason=None), 1.0)
    answer.event(chunk(text="", finish_reason="stop"), 2.0)
    assert answer.content_at_s == [2.0]


def test_of_several_choices_the_text_is_the_first() -> None:
    answer = Answer()
    answer.event(b'{"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}]}', 1.0)
    answer.whole(b'{"choices": [{"index": 0, "message": {"content": "c"}}], "model": "m"}', 2.0)
    assert (answer.text, answer.model) == ("ac", "m")


def test_errors_are_told_in_the_server_s_words() -> None:
    with pytest.raises(AnswerError, match="error in answer: engine died"):
        Answer().event(b'{"error": {"message": "engine\\ndied"}}', 0.0)
    assert error_words(b'{"error": "plain"}') == "plain"
    assert error_words(b"<html>\nno") == "<html> no"
    assert error_words(b"\xff") == "�"


@given(JSON | st.binary(max_size=20))
def test_anything_else_is_an_answer_error(value: object) -> None:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    for take in (Answer().event, Answer().whole):
        with contextlib.suppress(AnswerError):
            take(data, 1.0)
