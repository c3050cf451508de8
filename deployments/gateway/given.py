"""What a router scores or prices of a request: its text, or numbers in a header."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from boute.deployments.gateway.errors import RequestError
from boute.routing.encoders.encoder import Queries
from boute.routing.router import QUERY_HEADERS, Router

__all__ = ["given_to"]

_MOST_FEATURES_CHARS: Final = 20_000


def given_to(
    router: Router | None, text: str | None, headers: Mapping[bytes, bytes]
) -> Queries | None:
    """The one query of a request as its router takes it; None where there is nothing of the kind.

    Raise RequestError (400) for a malformed x-boute-score or x-boute-features.
    """
    if router is None:
        return None
    if router.takes == "text":
        return None if text is None else [text]
    name = QUERY_HEADERS[router.takes]
    given = headers.get(name.encode())
    return None if given is None else _numbers(given, len(router.feature_names), name)


def _numbers(given: bytes, count: int, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The `count` finite numbers of a header, [count]; raise RequestError (400)."""
    parts = given.split(b",") if len(given) <= _MOST_FEATURES_CHARS else []
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        wanted = "a number" if count == 1 else f"{count} numbers with commas between them"
        raise RequestError(400, f"the header {name} should be {wanted}", param=name)
    return np.array(numbers)
