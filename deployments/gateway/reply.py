"""The answer to one request over ASGI: whole, or chunk by chunk as it comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from boute.deployments.engines.base import Answer

__all__ = ["Header", "Reply", "Send"]

Header = tuple[bytes, bytes]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Reply:
    """Sends one answer. `headers` go with whatever is sent, and may grow until it is."""

    def __init__(self, send: Send, headers: list[Header]) -> None:
        self.headers = headers
        self.status: int | None = None
        self._send = send

    @property
    def begun(self) -> bool:
        """Whether the client has been told a status: nothing can be taken back from then on."""
        return self.status is not None

    async def whole(self, answer: Answer, headers: Iterable[Header] = ()) -> None:
        """Send an answer whose length is known."""
        length = (b"content-length", b"%d" % len(answer.body))
        await self._begin(answer.status, answer.media_type, [length, *headers])
        await self._send({"type": "http.response.body", "body": answer.body})

    async def open(self, media_type: str) -> None:
        """Begin a stream."""
        # Proxies such as nginx hold streams back unless they are told not to.
        unheld = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        await self._begin(200, media_type, unheld)

    async def more(self, chunk: bytes) -> None:
        """Send a chunk of a stream now."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self, chunk: bytes = b"") -> None:
        """End a stream."""
        await self._send({"type": "http.response.body", "body": chunk})

    async def _begin(self, status: int, media_type: str, headers: Iterable[Header]) -> None:
        self.status = status
        kind = (b"content-type", media_type.encode("latin-1", "replace"))
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [kind, *headers, *self.headers],
            }
        )
