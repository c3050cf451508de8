from __future__ import annotations

import json

import pytest

from boute.deployments.engines.base import Answer
from boute.deployments.gateway.errors import (
    RequestError,
    as_openai,
    error_event,
    error_in_event,
    too_many,
)


def test_an_error_is_in_openai_s_shape() -> None:
    error = RequestError(404, "no such model", code="model_not_found", param="model")
    assert json.loads(error.body) == {
        "error": {
            "message": "no such model",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
    assert error.headers == []
    assert json.loads(too_many("slow", 1.2).body)["error"]["type"] == "rate_limit_exceeded"
    assert too_many("slow", 1.2).headers == [(b"retry-after", b"2")]
    assert RequestError(401, "no key").headers == [(b"www-authenticate", b"Bearer")]


@pytest.mark.parametrize("body", [b"", b"oh no", b"[1]", b'{"error": "oh no"}', b"[" * 99_999])
def test_errors_of_engines_are_put_into_shape(body: bytes) -> None:
    shaped = as_openai(Answer(500, body, "text/plain"))
    assert (shaped.status, shaped.media_type) == (500, "application/json")
    message = json.loads(shaped.body)["error"]["message"]
    assert message == (body[:500].decode() or "the engine answered with status 500")


def test_errors_in_shape_are_left_alone() -> None:
    answer = Answer(400, b'{"error": {"message": "x", "code": 400}, "more": 1}')
    assert as_openai(answer) is answer


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (b'data: {"error": {"message": "x", "code": 400}}\n\ndata: [DONE]\n\n', 400),
        (b'data: {"error": {"message": "x", "code": 503}}\n\n', 503),
        (b'data: {"error": {"message": "x"}}\n\n', 500),
        (b'data: {"error": {"message": "x", "code": "odd"}}\n\n', 500),
        (b'data: {"error": {"message": "x", "code": 7}}\n\n', 500),
        (b'data: {"error": "x"}\n\n', 500),
        (b'data: {"error": null, "choices": []}\n\n', None),
        (b'data: {"error\n\n', None),
        (b'data: {"choices": [], "error": null}\n\n', None),
        (b"data: [DONE]\n\n", None),
    ],
)
def test_errors_in_streams(event: bytes, status: int | None) -> None:
    found = error_in_event(event)
    assert (None if found is None else found.status) == status
    own = error_in_event(error_event(RequestError(502, "broke off", code="engine_error")))
    assert own is not None
