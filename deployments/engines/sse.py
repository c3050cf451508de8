"""Server-sent events as engines send them: where they end, and which of them report an error."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from boute.deployments.engines.base import Answer, EngineError

__all__ = ["stream_of", "whole_events"]

_ENDS: Final = (b"\n\n", b"\r\n\r\n")
# Within the JSON of an event every quote is escaped, so this begins an event or is not there.
_ERROR: Final = b'data: {"error"'


async def whole_events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """What arrives, cut where an event ends: one may come in several pieces."""
    rest = b""
    async for chunk in chunks:
        rest += chunk
        end = max(rest.rfind(mark) + len(mark) if mark in rest else 0 for mark in _ENDS)
        if end:
            yield rest[:end]
            rest = rest[end:]


async def stream_of(events: AsyncGenerator[bytes], who: str) -> AsyncGenerator[Answer | bytes]:
    """Events as a Backend's stream: its head goes out with the first of them.

    Servers send status 200 before they know whether there will be an answer, and report trouble in
    an event. At the beginning that becomes the refusal that it is, or an EngineError, so that
    something else may answer; later, and where events stop before [DONE], it is an EngineError.
    """
    begun = done = False
    async with aclosing(events):
        async for event in events:
            if _ERROR in event:
                answer = _refusal_in(event, who)
                if begun:
                    raise EngineError(f"{who} gave up: {answer.body[:200]!r}")
                yield answer
                return
            if not begun:
                begun = True
                yield Answer(200, media_type="text/event-stream")
            done = event.rstrip().endswith(b"[DONE]")
            yield event
    if not done:
        raise EngineError(f"{who} broke its answer off")


def _refusal_in(event: bytes, who: str) -> Answer:
    """What an error event says, as an answer; EngineError unless the request is to blame."""
    begin = event.index(_ERROR) + len(b"data: ")
    body = event[begin:].splitlines()[0]
    try:
        code = json.loads(body)["error"].get("code")
    except (ValueError, KeyError, AttributeError):
        code = None
    if not isinstance(code, int) or not 400 <= code < 500:
        raise EngineError(f"{who} failed: {body[:200]!r}")
    return Answer(code, body)
