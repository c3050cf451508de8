"""The gateway as a Ray Serve deployment."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from ray import serve
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from boute.deployments.engine_metrics import merged
from boute.deployments.engines.base import EngineError
from boute.deployments.gateway.app import Gateway, create_app
from boute.deployments.handles import HandleBackend
from boute.deployments.keys import with_environment
from boute.deployments.live import LiveConfig
from boute.deployments.options import ServingOptions

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle
    from starlette.types import ASGIApp

__all__ = ["Ingress"]


@serve.ingress()
class Ingress:
    """Holds the gateway. `user_config` is a dumped LiveConfig; Ray Serve calls `reconfigure`."""

    def __init__(self, options: dict[str, Any], pools: dict[str, DeploymentHandle[Any]]) -> None:
        self._pools = {name: HandleBackend(handle) for name, handle in pools.items()}
        settings = ServingOptions.model_validate(options)
        # One replica's figures need no name of their own.
        replica = serve.get_replica_context().replica_id.unique_id
        named = replica if settings.ingress_replicas > 1 else ""
        self._gateway = Gateway(settings, self._pools, replica=named)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        app = create_app(self._gateway)
        app.router.routes.append(Route("/metrics/engines", self._engine_metrics))
        return app

    def reconfigure(self, live: dict[str, Any]) -> None:
        """Take over the live part of another plan, without losing a request.

        Keys in this process's own environment stay: what is emitted or applied from elsewhere does
        not know them, and without them the server would be open.
        """
        given = LiveConfig.model_validate(live)
        keys = with_environment(given.keys, os.environ)
        self._gateway.reconfigure(given.model_copy(update={"keys": keys}))

    async def _engine_metrics(self, _: Request) -> Response:
        """What the engines of all replicas say of themselves, for Prometheus."""
        texts: dict[str, list[str]] = {}
        for name, pool in self._pools.items():
            with contextlib.suppress(EngineError):
                texts[name] = await pool.metrics()
        return Response(merged(texts), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def __del__(self) -> None:
        """Ray Serve awaits this when the replica has drained."""
        await self._gateway.close()
