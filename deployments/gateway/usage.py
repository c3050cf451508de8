"""The engine's own count of tokens, read in passing.

The ingress has every stream end with its usage, because the metrics and the access log need it,
and takes it out again where the client had not asked for it. Answers are not parsed for that: in
JSON a quoted word is never followed by a colon unless it is a key.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["StreamUsage", "Tokens", "usage_in"]

_USAGE: Final = re.compile(rb'"usage"\s*:\s*(?=\{)')
_EVENTS: Final = re.compile(rb"(?<=\n\n)|(?<=\n\r\n)")
# Of the object after the key, at most; with all its details it is a tenth of that.
_USAGE_BYTES: Final = 4096

Tokens = tuple[int | None, int | None]
"""Tokens of the prompt and of the answer."""


class StreamUsage:
    """Reads the usage out of the chunks of a stream, and hides it unless it was `wanted`."""

    def __init__(self, *, wanted: bool) -> None:
        self.tokens: Tokens = (None, None)
        self._wanted = wanted

    def passed(self, chunk: bytes) -> bytes:
        """What the client sees of a chunk of one or more whole server-sent events."""
        if b'"usage"' not in chunk:
            return chunk
        if not self._wanted:
            # What OpenAI adds to all other events when the last is to hold the usage.
            chunk = chunk.replace(b',"usage":null', b"")
        self.tokens = usage_in(chunk) or self.tokens
        if self._wanted or b'"usage"' not in chunk:
            return chunk
        return b"".join(event for event in _EVENTS.split(chunk) if not _is_usage(event))


def usage_in(answer: bytes) -> Tokens | None:
    """The tokens in the last usage of an answer or a chunk of one; None where there is none."""
    found = list(_USAGE.finditer(answer))
    if not found:
        return None
    start = found[-1].end()
    try:
        text = answer[start : start + _USAGE_BYTES].decode("utf-8", "replace")
        usage, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def _is_usage(event: bytes) -> bool:
    """Whether an event holds the usage and nothing else."""
    if b'"usage"' not in event:
        return False
    try:
        data: Any = json.loads(event.removeprefix(b"data:"))
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("choices") == [] and bool(data.get("usage"))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
