"""What a client is told when its request is not answered, in the shape that OpenAI's API uses."""

from __future__ import annotations

import json
import math
from typing import Any

from boute.deployments.engines.base import Answer

__all__ = [
    "RequestError",
    "as_openai",
    "error_body",
    "error_event",
    "error_in_event",
    "not_found",
    "too_many",
]


class RequestError(Exception):
    """A request that ends with an error: `status`, and what goes into OpenAI's error object.

    `retry_after_s` becomes the header Retry-After, in whole seconds.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> bytes:
        """The JSON object that the client gets."""
        return error_body(self.status, self.message, code=self.code, param=self.param)

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Headers that go with the status."""
        if self.status == 401:
            return [(b"www-authenticate", b"Bearer")]
        if self.retry_after_s is None:
            return []
        return [(b"retry-after", b"%d" % max(1, math.ceil(self.retry_after_s)))]


def not_found(message: str) -> RequestError:
    """A model that is not there, or not there for this key."""
    return RequestError(404, message, code="model_not_found", param="model")


def too_many(message: str, retry_after_s: float) -> RequestError:
    """A client that is over a limit."""
    return RequestError(429, message, code="rate_limit_exceeded", retry_after_s=retry_after_s)


def error_body(
    status: int, message: str, *, code: str | None = None, param: str | None = None
) -> bytes:
    """`{"error": {message, type, param, code}}` as JSON."""
    error = {"message": message, "type": _type(status), "param": param, "code": code}
    return json.dumps({"error": error}, separators=(",", ":")).encode()


def error_event(error: RequestError) -> bytes:
    """The server-sent event that ends a stream which broke after its first byte."""
    return b"data: %b\n\n" % error.body


def error_in_event(event: bytes) -> Answer | None:
    """The refusal that an engine sent as an event of a stream, or None where it is not one.

    vLLM answers 200 before it looks at the prompt, and says so in the stream when it cannot go on.
    """
    if not event.startswith((b'data: {"error"', b'data:{"error"')):
        return None
    line = event.split(b"\n", 1)[0].removeprefix(b"data:").strip()
    try:
        error = json.loads(line)["error"]
        if error is None:
            return None
        code = int(error.get("code"))
    except (ValueError, TypeError, AttributeError, RecursionError):
        code = 500
    return Answer(code if 400 <= code <= 599 else 500, line)


def as_openai(answer: Answer) -> Answer:
    """An error of an engine in OpenAI's shape: as it is where it has it, else wrapped."""
    try:
        found: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and isinstance(found.get("error"), dict):
        return answer
    text = answer.body[:500].decode("utf-8", "replace").strip()
    message = text or f"the engine answered with status {answer.status}"
    return Answer(answer.status, error_body(answer.status, message))


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_exceeded"
    return "server_error" if status >= 500 else "invalid_request_error"
