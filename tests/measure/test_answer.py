from __future__ import annotations

import json
from typing import Any

import pytest

from boute.errors import ServingError
from boute.measure.answer import Answer, read_answer


def line(data: object) -> bytes:
    return f"data: {json.dumps(data)}\n".encode()


def chunk(text: str = "x") -> bytes:
    return line({"choices": [{"text": text}]})


def usage(**tokens: Any) -> bytes:
    return line({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, **tokens}})


def read(*lines: tuple[float, bytes]) -> Answer:
    return read_answer(1.0, lines, where="http://x")


def test_times_are_of_chunks_and_counts_of_usage() -> None:
    answer = read(
        (1.5, chunk()), (1.5, b"\n"), (1.75, chunk("")), (2.0, chunk()), (9.0, usage()),
        (9.5, b"data: [DONE]\n"),
    )  # fmt: skip
    assert (answer.input_tokens, answer.output_tokens) == (7, 3)
    assert (answer.ttft_s, answer.e2e_s) == (0.5, 1.0)
    assert answer.chunk_s == (1.5, 1.75, 2.0)
    assert answer.tokens_per_chunk == 1


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([chunk()], "no usage"),
        ([chunk(), usage(completion_tokens=None)], "no usage"),
        ([usage()], "without a token"),
        ([], "without a token"),
        ([line({"error": {"message": "out of memory"}})], "out of memory"),
        ([b"data: <html>\n"], "other than JSON"),
        ([b"data: [1]\n"], "other than JSON"),
    ],
)
def test_answers_of_no_use_are_refused(lines: list[bytes], says: str) -> None:
    with pytest.raises(ServingError, match=says):
        read(*((2.0, one) for one in lines))
