"""What an OpenAI-compatible server answers, read as it comes: text, times, usage, errors.

Knows the shapes of chat and text completions, streamed and whole, and nothing of connections.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["Answer", "AnswerError", "error_words"]

# Where a chunk of a chat carries what the model made; vLLM names its reasoning either way.
_CONTENT: Final = (
    "content",
    "reasoning",
    "reasoning_content",
    "tool_calls",
    "function_call",
    "refusal",
)
_SHOWN_CHARACTERS: Final = 200


class AnswerError(Exception):
    """The answer is an error, or not in OpenAI's shape."""


class Answer:
    """The answer to one request, as far as it has come.

    `content_at_s` are the times of chunks with content, `last_s` that of the last chunk with a
    choice, which may have none. `text` is that of the first choice. Tokens are None until the
    server has told its usage. `done` says that the answer has come to its end.
    """

    def __init__(self) -> None:
        self.text = ""
        self.content_at_s: list[float] = []
        self.last_s: float | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.model = ""
        self.done = False

    def event(self, data: bytes, now_s: float) -> None:
        """Take in one event of a stream; raise AnswerError."""
        if data == b"[DONE]":
            self.done = True
            return
        with _in_shape(data):
            for choice in self._choices(data):
                delta = choice.get("delta") or {}
                # A stream of text completions has its text in the choice itself.
                piece = delta.get("content") or choice.get("text") or ""
                finished = choice.get("finish_reason") is not None and not self.content_at_s
                if piece or finished or any(delta.get(name) for name in _CONTENT):
                    self.content_at_s.append(now_s)
                self._take(choice, piece, now_s)

    def whole(self, data: bytes, now_s: float) -> None:
        """Take in an answer that came in one piece; raise AnswerError."""
        with _in_shape(data):
            choices = self._choices(data)
            if not choices:
                raise ValueError("no choices")
            for choice in choices:
                message = choice.get("message") or {}
                self._take(choice, message.get("content") or choice.get("text") or "", now_s)
        self.done = True

    def _take(self, choice: Mapping[str, Any], piece: str, now_s: float) -> None:
        self.last_s = now_s
        if choice.get("index", 0) == 0:
            self.text += piece

    def _choices(self, data: bytes) -> list[Mapping[str, Any]]:
        """The choices of a chunk or an answer, once model and usage are noted."""
        body = json.loads(data)
        if body.get("error"):
            raise AnswerError(f"error in answer: {error_words(data)}")
        if usage := body.get("usage"):
            self.input_tokens = int(usage["prompt_tokens"])
            self.output_tokens = int(usage.get("completion_tokens") or 0)
        self.model = str(body.get("model") or self.model)
        return body.get("choices") or []


@contextlib.contextmanager
def _in_shape(data: bytes) -> Iterator[None]:
    """Turn what comes of reading some other shape into AnswerError."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        shown = data[:60].decode(errors="replace")
        raise AnswerError(f"bad answer: not in OpenAI's shape: {shown}") from None


def error_words(data: bytes) -> str:
    """The message of an error in OpenAI's shape, or the beginning of whatever it is; one line."""
    try:
        error = json.loads(data)["error"]
        words = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, TypeError, LookupError, RecursionError):
        words = data.decode(errors="replace")
    return " ".join(words[:_SHOWN_CHARACTERS].split())
