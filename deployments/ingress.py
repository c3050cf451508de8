"""The gateway as a Ray Serve deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boute.deployments.gateway.app import Gateway, create_app
from ray import serve

from boute.deployments.handles import HandleBackend
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
        backends = {name: HandleBackend(handle) for name, handle in pools.items()}
        self._gateway = Gateway(ServingOptions.model_validate(options), backends)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return create_app(self._gateway)

    def reconfigure(self, live: dict[str, Any]) -> None:
        """Take over the live part of another plan, without losing a request."""
        self._gateway.reconfigure(LiveConfig.model_validate(live))

    async def __del__(self) -> None:
        """Ray Serve awaits this when the replica has drained."""
        await self._gateway.close()
