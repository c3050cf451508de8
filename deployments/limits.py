"""Admission to one ingress replica: how many requests at once, and how often each key may ask.

Counts are those of one replica. Nothing here waits: who is over a limit is told when to come back.
Runs on the event loop of the ingress, so it needs no lock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from boute.deployments.options import KeyLimits, Limits

__all__ = ["Admission", "Reason", "Refused"]

Reason = Literal["concurrency", "key_concurrency", "key_rate"]

# Nobody knows when a place gets free; a second spreads the clients without keeping them long.
_PLACE_RETRY_S: Final = 1.0
# Seconds that a float of a monotonic clock may be off; without it a client that waits as long as it
# was told could be refused for a rounding error.
_ROUNDING_S: Final = 1e-6


class Refused(Exception):  # noqa: N818, it is an answer
    """A request that is over a limit: an answer of `status` with Retry-After."""

    def __init__(self, reason: Reason, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.status: Final = 429
        self.reason: Final = reason
        self.message: Final = message
        self.retry_after_s: Final = retry_after_s

    @property
    def retry_after(self) -> str:
        """The value of the header: whole seconds, at least one."""
        return str(max(1, math.ceil(self.retry_after_s)))


@dataclass(slots=True)
class _Key:
    """What one key has under way, and when its bucket is full again (clock, seconds)."""

    running: int = 0
    full_at: float = -math.inf


class Admission:
    """Lets requests in and out. `clock` gives seconds and never goes back.

    A key's bucket holds as many requests as it may make a minute and fills evenly.
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = limits.max_concurrency
        self._clock = clock
        self._running = 0
        self._keys: dict[str, _Key] = {}

    @property
    def running(self) -> int:
        """Requests that are in."""
        return self._running

    def enter(self, key: str | None, key_limits: KeyLimits | None) -> None:
        """Let one request in, or raise Refused. `key` is the hash of its key, if there is one.

        One that is refused counts for nothing. Each that is let in has to `leave` once.
        """
        if self._running >= self._most:
            raise Refused("concurrency", "the server has all the requests it takes", _PLACE_RETRY_S)
        if key is not None:
            self._enter_key(self._keys.setdefault(key, _Key()), key_limits or KeyLimits())
        self._running += 1

    def leave(self, key: str | None) -> None:
        """A request that was let in is over."""
        self._running -= 1
        if key is not None:
            self._keys[key].running -= 1

    def _enter_key(self, state: _Key, limits: KeyLimits) -> None:
        if limits.max_concurrency is not None and state.running >= limits.max_concurrency:
            message = f"the key has its {limits.max_concurrency} requests under way"
            raise Refused("key_concurrency", message, _PLACE_RETRY_S)
        if limits.requests_per_minute is not None:
            self._take_token(state, limits.requests_per_minute)
        state.running += 1

    def _take_token(self, state: _Key, requests_per_minute: int) -> None:
        # The bucket as one number: each request puts off the time at which it is full by what one
        # takes to come back. A minute of them is what it holds.
        now = self._clock()
        interval_s = 60.0 / requests_per_minute
        full_at = max(state.full_at, now) + interval_s
        wait_s = full_at - now - 60.0
        if wait_s > _ROUNDING_S:
            message = f"the key has made its {requests_per_minute} requests of this minute"
            raise Refused("key_rate", message, wait_s)
        state.full_at = full_at
