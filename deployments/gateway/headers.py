"""What the ingress reads from the headers of a request."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

from boute.deployments.gateway.errors import RequestError

__all__ = ["Incoming", "RequestHeaders", "incoming"]

RequestHeaders = Mapping[bytes, bytes]
"""Values by lower-case name."""

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,100}")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request before its body is read.

    `request_id` is the client's own where it is sane. Clients may use one twice and an engine may
    not see one twice, so `engine_id` is always new.
    """

    headers: RequestHeaders
    request_id: str
    engine_id: str

    @property
    def traceparent(self) -> str | None:
        """The client's place in a trace (W3C Trace Context)."""
        given = self.headers.get(b"traceparent")
        return None if given is None else given.decode("latin-1")

    def deadline_s(self, most_s: float) -> float:
        """Seconds that the request may take: `most_s`, which x-boute-deadline-s can shorten.

        Raise RequestError (400) where the header is not a number of seconds.
        """
        given = self.headers.get(b"x-boute-deadline-s")
        if given is None:
            return most_s
        try:
            seconds = float(given)
        except ValueError:
            seconds = math.nan
        if not seconds > 0:
            name = "x-boute-deadline-s"
            raise RequestError(
                400, f"the header {name} should be a number of seconds above 0", param=name
            )
        return min(seconds, most_s)


def incoming(scope: Mapping[str, Any]) -> Incoming:
    """Read the headers of an ASGI scope."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    own_id = token_hex(8)
    given = headers.get(b"x-request-id", b"")
    if _REQUEST_ID.fullmatch(given) is None:
        return Incoming(headers, own_id, own_id)
    return Incoming(headers, given.decode(), f"{given.decode()}-{own_id}")
