"""Asking pools one after the other until one begins to answer.

Until the first byte of an answer nothing is promised to the client, so another pool may be asked;
after it never. The head of a stream is therefore held until its first event is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from boute.deployments.engines.base import Answer, Backend, EngineError, EngineRequest
from boute.deployments.gateway.chooser import Attempt
from boute.deployments.gateway.errors import RequestError, as_openai, error_in_event

__all__ = ["Opened", "ask_stream", "ask_whole", "close", "first_answer"]

_log: Final = logging.getLogger(__name__)
# Nobody knows when an engine is back; a second spreads the clients without keeping them long.
RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Opened:
    """What a pool answers: whole, or with `rest` a stream that begins with `first`."""

    answer: Answer
    first: bytes = b""
    rest: AsyncIterator[Answer | bytes] | None = None

    @property
    def failed(self) -> bool:
        """Whether another pool may do better: this one has too much to do, or is broken."""
        return self.answer.status == 429 or self.answer.status >= 500


async def first_answer(
    attempts: Iterable[Attempt], ask: Callable[[Attempt], Awaitable[Opened]]
) -> Opened:
    """What the first pool that can answer says; else the last failure.

    That is an answer with status 429 or 5xx, or a RequestError: 503 where the engine broke, 504
    where it did not begin in time.
    """
    broken: set[str] = set()
    failure: Opened | RequestError | None = None
    for attempt in attempts:
        if attempt.pause_s is not None:
            if attempt.pool not in broken:
                continue
            await asyncio.sleep(attempt.pause_s)
        try:
            opened = await ask(attempt)
        except EngineError as error:
            _log.warning("pool %s: %s", attempt.pool, error)
            broken.add(attempt.pool)
            failure = RequestError(
                503, "the engine failed", code="engine_error", retry_after_s=RETRY_S
            )
        except TimeoutError:
            _log.warning("pool %s: nothing came in time", attempt.pool)
            failure = RequestError(504, "the engine did not begin in time", code="timeout")
        else:
            if not opened.failed:
                return opened
            _log.warning("pool %s: status %d", attempt.pool, opened.answer.status)
            failure = opened
    if isinstance(failure, Opened):
        return failure
    raise failure or ValueError("there is no pool to ask")


async def ask_whole(backend: Backend, request: EngineRequest) -> Opened:
    """A whole answer; raise EngineError."""
    answer = await backend.answer(request)
    return Opened(as_openai(answer) if answer.status >= 400 else answer)


async def ask_stream(backend: Backend, request: EngineRequest, first_byte_s: float) -> Opened:
    """A stream up to its first event; raise EngineError, or TimeoutError after `first_byte_s`."""
    stream = backend.stream(request)
    try:
        async with asyncio.timeout(first_byte_s):
            opened = await _open(stream)
    except BaseException:
        await close(stream)
        raise
    if opened.rest is None:
        await close(stream)
    return opened


async def _open(stream: AsyncIterator[Answer | bytes]) -> Opened:
    head = await anext(stream, None)
    if not isinstance(head, Answer):
        raise EngineError("the engine ended before it began")
    if head.status >= 400:
        return Opened(as_openai(head))
    if head.body:
        return Opened(head)
    async for chunk in stream:
        if isinstance(chunk, Answer):
            raise EngineError("the engine answered twice")
        if not chunk:
            continue
        refusal = error_in_event(chunk)
        return Opened(head, chunk, stream) if refusal is None else Opened(as_openai(refusal))
    raise EngineError("the engine ended before the first byte")


async def close(stream: AsyncIterator[Answer | bytes]) -> None:
    """End the work behind a stream."""
    ending = getattr(stream, "aclose", None)
    if ending is not None:
        with contextlib.suppress(EngineError):
            await ending()
