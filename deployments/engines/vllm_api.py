"""vLLM's own OpenAI handlers, called without HTTP between them and the replica.

Requests are read with vLLM's request models, answered by its serving classes, and written as its
server writes them: the same JSON, the same events, the same refusals. What its server would answer
with 5xx is an EngineError here. Imports vLLM when first used.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError

from boute.deployments.engines.arguments import engine_env
from boute.deployments.engines.base import (
    Answer,
    Backend,
    EngineError,
    EngineRequest,
    OpenAIPath,
)
from boute.deployments.engines.settings import EngineSettings
from boute.deployments.engines.sse import stream_of

__all__ = ["Handler", "HandlersEngine", "VLLMHandlers", "warm_up"]

# What a handler makes of a request: the events of a stream, or an answer, or an error response.
Handler = Callable[[Any], Awaitable["AsyncGenerator[str] | BaseModel"]]


class VLLMHandlers:
    """A request model and a handler for each path; `who` is named in errors."""

    def __init__(
        self, who: str, handlers: Mapping[OpenAIPath, tuple[type[BaseModel], Handler]]
    ) -> None:
        self._who = who
        self._handlers = handlers

    async def answer(self, request: EngineRequest) -> Answer:
        """The whole answer as vLLM's server would give it."""
        result = await self._handle(request)
        assert isinstance(result, Answer), "a request to answer() does not ask for a stream"
        return result

    async def stream(self, request: EngineRequest) -> AsyncGenerator[Answer | bytes]:
        """The events that vLLM's server would send."""
        result = await self._handle(request)
        if isinstance(result, Answer):
            yield result
            return
        async with aclosing(stream_of(_encoded(result), self._who)) as items:
            async for item in items:
                yield item

    async def _handle(self, request: EngineRequest) -> Answer | AsyncGenerator[str]:
        from fastapi.exceptions import RequestValidationError
        from fastapi.responses import JSONResponse
        from vllm.entrypoints.serve.exception_handling.error_response import create_error_response

        model, handler = self._handlers[request.path]
        try:
            result = await handler(_read(request, model))
        except RequestValidationError as error:
            return await _invalid(error)
        except Exception as error:
            result = create_error_response(error)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # vLLM turns the cancellation into an answer that says so.
            raise asyncio.CancelledError
        if isinstance(result, AsyncGenerator):
            return result
        fields = result.model_dump()
        status = fields["error"]["code"] if "error" in fields else 200
        if status >= 500:
            raise EngineError(f"{self._who} failed: {fields['error']['message']}")
        return Answer(status, bytes(JSONResponse(fields).body))


class HandlersEngine:
    """What engines with vLLM in their own process have in common; `_handlers` once they started."""

    who: ClassVar[str]

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._handlers: VLLMHandlers | None = None

    async def metrics(self) -> str:
        """vLLM's own metrics, in Prometheus' text format, and which vLLM it is."""
        from prometheus_client import generate_latest
        from vllm import __version__
        from vllm.v1.metrics.prometheus import get_prometheus_registry

        text = generate_latest(get_prometheus_registry()).decode()
        info = f'boute_engine_info{{engine="{self.who}",version="{__version__}"}} 1.0'
        return f"{text}# TYPE boute_engine_info gauge\n{info}\n"

    async def answer(self, request: EngineRequest) -> Answer:
        """The whole answer."""
        return await self._running().answer(request)

    def stream(self, request: EngineRequest) -> AsyncGenerator[Answer | bytes]:
        """The events, as vLLM makes them."""
        return self._running().stream(request)

    def _running(self) -> VLLMHandlers:
        if self._handlers is None:
            raise EngineError(f"{self.who} is not running")
        return self._handlers

    def _set_environment(self) -> None:
        """Before vLLM is imported; what the process has already stays."""
        for name, value in engine_env(self._settings).items():
            os.environ.setdefault(name, value)


async def warm_up(backend: Backend, model: str) -> None:
    """Have vLLM answer one request; raise EngineError if that fails."""
    body = {"model": model, "prompt": [0], "max_tokens": 2, "ignore_eos": True}
    request = EngineRequest("/v1/completions", json.dumps(body).encode(), "warm-up")
    answer = await backend.answer(request)
    if answer.status != 200:
        raise EngineError(f"vLLM did not answer a first request: {answer.body.decode()}")


def _read(request: EngineRequest, model: type[BaseModel]) -> BaseModel:
    """The request as vLLM's model; errors are those that FastAPI raises for vLLM's server."""
    from fastapi.exceptions import RequestValidationError

    try:
        fields = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        problem = {"type": "json_invalid", "loc": ("body",), "msg": f"JSON decode error: {error}"}
        raise RequestValidationError([problem]) from error
    if isinstance(fields, dict):
        fields.setdefault("request_id", request.request_id)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        problems: list[Any] = list(error.errors(include_url=False))
        for problem in problems:
            problem["loc"] = ("body", *problem["loc"])
        raise RequestValidationError(problems) from error


async def _invalid(error: Any) -> Answer:
    from vllm.entrypoints.serve.exception_handling.handlers.validation import (
        validation_exception_handler,
    )

    # All that it asks of the HTTP request is whether to log.
    state = SimpleNamespace(args=SimpleNamespace(log_error_stack=False))
    response = await validation_exception_handler(
        SimpleNamespace(app=SimpleNamespace(state=state)), error
    )
    return Answer(response.status_code, bytes(response.body))


async def _encoded(events: AsyncGenerator[str]) -> AsyncGenerator[bytes]:
    async with aclosing(events):
        async for event in events:
            yield event.encode()
