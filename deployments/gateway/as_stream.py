"""A whole answer as the stream that its client asked for.

An answer that is checked before it is given is there as a whole; its client gets it in OpenAI's
events all the same: for each choice what was said and then why it ended, the usage where it was
asked for, and `[DONE]`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["as_stream"]


def as_stream(answer: dict[str, Any], *, chat: bool, usage: bool) -> bytes:
    """The server-sent events of a whole answer; with `usage` the last but one holds it."""
    head = {
        name: value
        for name, value in answer.items()
        if name not in ("choices", "usage") and value is not None
    }
    if chat:
        head["object"] = "chat.completion.chunk"
    events = [
        head | {"choices": [part]}
        for choice in answer["choices"]
        for part in (_parts(choice) if chat else (choice,))
    ]
    if usage and answer.get("usage") is not None:
        events.append(head | {"choices": [], "usage": answer["usage"]})
    return b"".join(map(_event, events)) + b"data: [DONE]\n\n"


def _parts(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a choice of a chat says, and how it ended."""
    delta = {name: value for name, value in choice["message"].items() if value is not None}
    if delta.get("tool_calls"):
        # In a stream each call says which one it is, because calls may come in parts.
        calls = enumerate(delta["tool_calls"])
        delta["tool_calls"] = [{"index": index} | call for index, call in calls]
    place = {"index": choice.get("index", 0)}
    yield place | {"delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None}
    ended = {name: value for name, value in choice.items() if name not in ("message", "logprobs")}
    yield place | {"delta": {}, "logprobs": None} | ended


def _event(data: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(data, separators=(",", ":")).encode()
