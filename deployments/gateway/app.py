"""The gateway as an ASGI app: its paths, and errors in OpenAI's shape on all of them.

FastAPI is here for routing and the OpenAPI document only; completions never touch it.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from boute.deployments.engines.base import OpenAIPath
from boute.deployments.gateway.chooser import ROUTED
from boute.deployments.gateway.errors import RequestError, error_body, not_found
from boute.deployments.gateway.exchange import Exchange
from boute.deployments.gateway.gateway import Gateway, State
from boute.deployments.gateway.openapi import document

__all__ = ["Gateway", "create_app"]


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return document()


class _Completions:
    """One of the two paths that generate text."""

    def __init__(self, gateway: Gateway, path: OpenAIPath) -> None:
        self._gateway = gateway
        self._path: OpenAIPath = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Exchange(self._gateway, self._path, scope, receive, send).run()


class _Others:
    """The paths that answer at once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def models(self, request: Request) -> Response:
        """The models that the client can ask for."""
        state = self._gateway.state()
        _, limits = state.client(_authorization(request))
        names = (ROUTED, *state.chooser.models)
        data = [_model(name, state) for name in names if state.chooser.serves(name, limits)]
        return JSONResponse({"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        """One of them; a setting of the dial is a model too."""
        state = self._gateway.state()
        _, limits = state.client(_authorization(request))
        name = request.path_params["name"]
        if not state.chooser.serves(name, limits):
            raise not_found(state.chooser.unknown(name, limits))
        return JSONResponse(_model(name, state))

    async def health(self, _: Request) -> Response:
        """Whether requests are taken."""
        return JSONResponse({"status": "ok", "plan": self._gateway.state().live.plan})

    async def metrics(self, _: Request) -> Response:
        """Figures for Prometheus."""
        text = self._gateway.metrics.text()
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def scores(self, _: Request) -> Response:
        """Counts of scores, for `boute router drift`."""
        return JSONResponse(self._gateway.metrics.scores.data())


def create_app(gateway: Gateway) -> FastAPI:
    """The app. It needs no lifespan: `gateway.close()` is the owner's to call."""
    others = _Others(gateway)
    app = _App(
        title="boute",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            HTTPException: _http_error,
            RequestError: _request_error,
            Exception: _internal_error,
        },
    )
    paths: tuple[OpenAIPath, ...] = ("/v1/chat/completions", "/v1/completions")
    app.router.routes += [
        *(Route(path, _Completions(gateway, path), methods=["POST"]) for path in paths),
        Route("/v1/models", others.models),
        Route("/v1/models/{name:path}", others.model),
        Route("/health", others.health),
        Route("/metrics", others.metrics),
        Route("/metrics/scores", others.scores),
    ]
    return app


def _authorization(request: Request) -> bytes | None:
    given = request.headers.get("authorization")
    return None if given is None else given.encode("latin-1")


def _model(name: str, state: State) -> dict[str, Any]:
    created = int(state.since_unix_s)
    return {"id": name, "object": "model", "created": created, "owned_by": "boute"}


async def _http_error(_: Request, error: Exception) -> Response:
    """Paths and methods that there are not."""
    assert isinstance(error, HTTPException)
    body = error_body(error.status_code, str(error.detail))
    return _json(error.status_code, body, dict(error.headers or {}))


async def _request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return _json(error.status, error.body, headers)


async def _internal_error(_: Request, error: Exception) -> Response:
    del error  # The server logs it; a client has no use for it.
    return _json(500, error_body(500, "internal error", code="internal_error"), {})


def _json(status: int, body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, status, headers, media_type="application/json")
