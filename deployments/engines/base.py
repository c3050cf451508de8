"""The interface between the ingress and whatever generates tokens.

A request goes in as the JSON body that the client sent, with `model` set to the name that the plan
gives the model; answers come out as the bytes that the client will see. Nothing on the way parses
what it need not know, so tools, log-probabilities and fields of tomorrow pass through.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["Answer", "Backend", "Engine", "EngineError", "EngineRequest", "OpenAIPath"]

OpenAIPath = Literal["/v1/chat/completions", "/v1/completions"]


class EngineError(Exception):
    """The engine could not answer, and says nothing about the request: another may be tried."""


@dataclass(frozen=True)
class EngineRequest:
    """One request: `body` is a JSON object; `request_id` is unique and ends up in logs."""

    path: OpenAIPath
    body: bytes
    request_id: str


@dataclass(frozen=True)
class Answer:
    """A whole answer, or, with status 200 and an empty body, the head of a stream."""

    status: int
    body: bytes = b""
    media_type: str = "application/json"


class Backend(Protocol):
    """Something that answers requests: an engine, or a pool of them.

    Cancelling `answer`, or closing the iterator of `stream`, ends the work that was begun.
    Both raise EngineError when the engine is gone or broken.
    """

    async def answer(self, request: EngineRequest) -> Answer:
        """The whole answer. A request that is wrong is answered with a 4xx status, not raised."""
        ...

    def stream(self, request: EngineRequest) -> AsyncIterator[Answer | bytes]:
        """First an Answer: the head of a stream, or a refusal with its body and nothing after.

        The head comes with the first event, so that whatever breaks before it can still be mended.
        Then bytes: one or more whole server-sent events each, up to `data: [DONE]`. They are
        passed on as they come, never held back.
        """
        ...


class Engine(Backend, Protocol):
    """A backend that runs in one replica and has a life of its own."""

    async def start(self) -> None:
        """Get ready to answer: load, and answer one request so that the first client need not."""
        ...

    async def check(self) -> None:
        """Raise EngineError unless the engine can answer."""
        ...

    def unfinished(self) -> int:
        """Requests that hold a place in the engine: 0 when all are answered or cancelled."""
        ...

    async def metrics(self) -> str:
        """The engine's own figures in Prometheus' text format, or nothing."""
        ...

    async def stop(self) -> None:
        """End whatever was started. Safe to call twice."""
        ...
