"""A stream that has begun, passed on to its end or to where it breaks."""

from __future__ import annotations

from typing import Final

from boute.deployments.engines.base import EngineError
from boute.deployments.gateway.errors import RequestError, error_event, error_in_event
from boute.deployments.gateway.forward import Opened, close
from boute.deployments.gateway.reply import Reply
from boute.deployments.gateway.usage import StreamUsage

__all__ = ["pass_on"]

_DONE: Final = b"[DONE]"


async def pass_on(opened: Opened, reply: Reply, usage: StreamUsage) -> bool:
    """Send each chunk as it comes; tell whether the stream came to its end.

    One that breaks ends with an event that holds an error, and without [DONE]. Cancelling this
    ends the engine's work.
    """
    assert opened.rest is not None
    last = opened.first
    try:
        await reply.open(opened.answer.media_type)
        await _more(reply, usage.passed(last))
        async for item in opened.rest:
            assert isinstance(item, bytes)
            last = item
            if error_in_event(item) is not None:
                # The engine's own words, but not the [DONE] that vLLM puts after them.
                await reply.end(item.partition(b"\n\n")[0] + b"\n\n")
                return False
            await _more(reply, usage.passed(item))
    except EngineError:
        last = b""
    finally:
        await close(opened.rest)
    if _DONE in last[-16:]:
        await reply.end()
        return True
    broken = RequestError(502, "the engine broke off", code="engine_error")
    await reply.end(error_event(broken))
    return False


async def _more(reply: Reply, chunk: bytes) -> None:
    if chunk:
        await reply.more(chunk)
