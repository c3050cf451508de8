"""What the requests of one ingress replica share: the routing of now, limits, metrics and the log.

Runs on one event loop, so it needs no lock. A new setting of the routing replaces the old as a
whole; requests under way keep the one that they began with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from boute.deployments.access_log import AccessLog
from boute.deployments.engines.base import Backend
from boute.deployments.gateway.chooser import Chooser
from boute.deployments.gateway.errors import RequestError
from boute.deployments.keys import hash_key, key_of
from boute.deployments.limits import Admission
from boute.deployments.live import LiveConfig
from boute.deployments.metrics import IngressMetrics
from boute.deployments.options import KeyLimits, ServingOptions
from boute.deployments.record import RequestRecord
from boute.errors import PlanError, nearest
from boute.routing.router import Router

if TYPE_CHECKING:
    from boute.deployments.tracing import RequestTracer

__all__ = ["Gateway", "State"]

# For requests that were cut at the end of the drain to say so to their clients.
_LAST_WORDS_S: Final = 2.0


class Stoppable(Protocol):
    """A request under way."""

    def stop(self) -> None:
        """End it early."""
        ...


@dataclass(frozen=True)
class State:
    """One setting of the routing. `since_unix_s` is when it was taken over."""

    live: LiveConfig
    chooser: Chooser
    since_unix_s: float

    def client(self, authorization: bytes | None) -> tuple[str | None, KeyLimits | None]:
        """Hash and limits of the client's key, None and None where the server is open.

        Raise RequestError (401) where it needs one that is known.
        """
        if self.live.keys is None:
            return None, None
        key = None if authorization is None else key_of(authorization.decode("latin-1"))
        if key is None:
            raise RequestError(
                401, "an API key is needed: Authorization: Bearer KEY", code="missing_api_key"
            )
        hashed = hash_key(key)
        limits = self.live.keys.get(hashed)
        if limits is None:
            raise RequestError(401, "the API key is not known", code="invalid_api_key")
        return hashed, limits


class Gateway:
    """An ingress replica without its web server.

    `backends` are the pools by name. Until the first `reconfigure` everything is refused. Raises
    OutputError where the access log cannot be written, and InputError where OpenTelemetry is asked
    for and its exporter is missing. `replica` tells replicas apart in the metrics.
    """

    def __init__(
        self, options: ServingOptions, backends: Mapping[str, Backend], *, replica: str = ""
    ) -> None:
        self.limits = options.limits
        self.log_prompts = options.log_prompts
        self.backends = dict(backends)
        self.metrics = IngressMetrics(replica)
        self.admission = Admission(options.limits)
        self._state: State | None = None
        self._draining = False
        self._under_way: set[Stoppable] = set()
        self._idle = asyncio.Event()
        path = None if options.access_log is None else Path(options.access_log)
        self._log = AccessLog(path, prompts=options.log_prompts)
        self._tracer = _tracer() if options.opentelemetry else None

    def reconfigure(self, live: LiveConfig) -> None:
        """Route by `live` from now on; requests under way are not touched.

        Raise PlanError for a pool that has no backend, and DataError for a router that is
        missing, damaged, another than the plan's or without the models that it is to price. Then
        everything stays as it was.
        """
        for pool in live.pools:
            if pool.name not in self.backends:
                raise PlanError(
                    f"pool {pool.name} is not deployed",
                    where="pools",
                    mend=f"deploy the plan anew; {nearest(pool.name, self.backends, 'pools')}",
                )
        if not any(pool.model in live.routing.models for pool in live.pools):
            raise PlanError("no model of the routing has a pool", where="pools")
        router = None
        if live.router_folder is not None:
            path = Path(live.router_folder)
            router = Router.load(path, expected_hash=live.routing.router_hash)
        chooser = Chooser(live, router)
        self.metrics.reconfigure(live)
        self._state = State(live, chooser, time.time())

    def state(self) -> State:
        """The setting of now; raise RequestError (503) where no request is taken."""
        if self._draining:
            raise RequestError(
                503,
                "the server is shutting down",
                code="draining",
                retry_after_s=self.limits.drain_s,
            )
        if self._state is None:
            raise RequestError(503, "the server is not ready", code="not_ready", retry_after_s=1.0)
        return self._state

    def enter(self, request: Stoppable, key: str | None, limits: KeyLimits | None) -> None:
        """Take a request in, or raise Refused."""
        self.admission.enter(key, limits)
        self._under_way.add(request)

    def leave(self, request: Stoppable, key: str | None) -> None:
        """A request that was taken in is over."""
        self.admission.leave(key)
        self._under_way.discard(request)
        if not self._under_way:
            self._idle.set()

    def record(self, record: RequestRecord) -> None:
        """Count a request that is over, and log it."""
        self.metrics.finished(record)
        self._log.write(record)
        if self._tracer is not None:
            self._tracer.finished(record)

    async def close(self) -> None:
        """Take no more requests, wait for those under way, and cut what is left after `drain_s`.

        Safe to call twice.
        """
        self._draining = True
        await self._wait(self.limits.drain_s)
        for request in list(self._under_way):
            request.stop()
        await self._wait(_LAST_WORDS_S)
        self._log.close()
        if self._tracer is not None:
            self._tracer.close()

    async def _wait(self, seconds: float) -> None:
        """Until nothing is under way, and for so long at most."""
        self._idle.clear()
        if self._under_way:
            try:
                await asyncio.wait_for(self._idle.wait(), seconds)
            except TimeoutError:
                return


def _tracer() -> RequestTracer:
    from boute.deployments.tracing import RequestTracer

    return RequestTracer()
