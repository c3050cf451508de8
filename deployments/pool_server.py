"""A replica of a pool: one engine behind the methods that Ray Serve calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from boute.deployments.engines.base import Answer, EngineRequest
from boute.deployments.engines.make import make_engine
from boute.deployments.engines.settings import EngineSettings

__all__ = ["PoolServer"]


class PoolServer:
    """The class of every pool's Serve deployment. `settings` is a dumped EngineSettings."""

    async def __init__(self, settings: dict[str, Any]) -> None:  # type: ignore[misc]
        self._engine = make_engine(EngineSettings.model_validate(settings))
        await self._engine.start()

    async def answer(self, request: EngineRequest) -> Answer:
        """A whole answer; see `boute.deployments.engines.base`."""
        return await self._engine.answer(request)

    async def stream(self, request: EngineRequest) -> AsyncIterator[Answer | bytes]:
        """The head of a stream and its events; see `boute.deployments.engines.base`."""
        async for item in self._engine.stream(request):
            yield item

    async def unfinished(self) -> int:
        """Requests that hold a place in the engine."""
        return self._engine.unfinished()

    async def metrics(self) -> str:
        """The engine's own figures in Prometheus' text format."""
        return await self._engine.metrics()

    async def check_health(self) -> None:
        """Ray Serve replaces the replica when this raises."""
        await self._engine.check()

    async def __del__(self) -> None:
        """Ray Serve awaits this when a replica has drained."""
        await self._engine.stop()
