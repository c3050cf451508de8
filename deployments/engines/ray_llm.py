"""The server of Ray Serve LLM behind our interface, inside our replica.

For those who want what it adds to vLLM (model mirrors, its accelerator handling) under our ingress.
It brings its own rules: on GPUs it insists on vLLM's Ray executor, on CPUs on the multiprocessing
one, and it finds or makes a placement group for the workers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from boute.deployments.engines.arguments import engine_env, vllm_arguments
from boute.deployments.engines.base import EngineError
from boute.deployments.engines.settings import EngineSettings
from boute.deployments.engines.vllm_api import Handler, HandlersEngine, VLLMHandlers, warm_up

__all__ = ["RayLLMEngine"]

# It sets these itself and refuses to be told.
_ITS_OWN: Final = frozenset({"model", "served_model_name", "distributed_executor_backend"})
_WORKER_CPUS: Final = 0.5


class RayLLMEngine(HandlersEngine):
    """One LLMServer of Ray Serve LLM. Ray has to be running."""

    who = "Ray Serve LLM"

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._server: Any = None

    async def start(self) -> None:
        """Load the model, which blocks the event loop, and answer a first request.

        Raise EngineError where it does not come up.
        """
        self._set_environment()
        from ray.llm._internal.serve.core.configs.openai_api_models import (
            ChatCompletionRequest,
            CompletionRequest,
        )
        from ray.llm._internal.serve.core.server.llm_server import LLMServer

        try:
            server: Any = LLMServer.sync_init(_config(self._settings))
            await server.start()
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise EngineError(f"Ray Serve LLM does not start: {error}") from error
        self._server = server
        self._handlers = VLLMHandlers(
            self.who,
            {
                "/v1/chat/completions": (ChatCompletionRequest, _handler(self._server.chat)),
                "/v1/completions": (CompletionRequest, _handler(self._server.completions)),
            },
        )
        await warm_up(self, self._settings.model)

    async def check(self) -> None:
        """Raise EngineError unless its engine is healthy."""
        if self._server is None:
            raise EngineError("Ray Serve LLM is not running")
        try:
            await self._server.check_health()
        except Exception as error:
            raise EngineError(f"Ray Serve LLM is not healthy: {error}") from error

    def unfinished(self) -> int:
        """Sequences that vLLM is working on or has queued."""
        return 0 if self._server is None else int(self._vllm().get_num_unfinished_requests())

    async def stop(self) -> None:
        """End vLLM's core and its workers."""
        if self._server is not None:
            engine = self._vllm()
            self._server = self._handlers = None
            engine.shutdown()

    def _vllm(self) -> Any:
        # It has no other door to the count of requests, nor to the end of the engine.
        return self._server.engine._engine_client


def _config(settings: EngineSettings) -> Any:
    from ray.serve.llm import LLMConfig, ModelLoadingConfig

    hardware: dict[str, Any] = {"accelerator_type": settings.accelerator_type}
    if settings.device == "cpu":
        hardware = {
            "accelerator_config": {"kind": "cpu"},
            "placement_group_config": {"bundles": [{"CPU": _WORKER_CPUS}]},
        }
    arguments = vllm_arguments(settings)
    return LLMConfig(
        model_loading_config=ModelLoadingConfig(
            model_id=settings.model, model_source=settings.weights_from
        ),
        engine_kwargs={name: arguments[name] for name in arguments.keys() - _ITS_OWN},
        runtime_env={"env_vars": engine_env(settings)},
        # Events go out as they come, and vLLM's metrics to the registry that we read.
        experimental_configs={"stream_batching_interval_ms": 0},
        log_engine_metrics=False,
        **hardware,
    )


def _handler(method: Callable[[Any], Awaitable[AsyncGenerator[Any]]]) -> Handler:
    """Its answers are generators too, and its events come in lists."""

    async def handle(request: Any) -> Any:
        results = await method(request)
        first = await anext(results)
        if isinstance(first, list):
            return _events(first, results)
        await results.aclose()
        return first

    return handle


async def _events(first: list[Any], rest: AsyncGenerator[Any]) -> AsyncGenerator[str]:
    async with aclosing(rest):
        for event in first:
            yield _text(event)
        async for events in rest:
            for event in events:
                yield _text(event)


def _text(event: Any) -> str:
    """An event; an error that its server could not put into one yet."""
    return event if isinstance(event, str) else f"data: {event.model_dump_json()}\n\n"
