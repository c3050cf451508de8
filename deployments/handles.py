"""A pool of Serve replicas as a backend of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from boute.deployments.engines.base import Answer, EngineError, EngineRequest

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

__all__ = ["HandleBackend"]

METRICS_LIMIT_S: Final = 5.0


class HandleBackend:
    """Sends requests to the pool's replicas; Ray Serve chooses which.

    Whatever Ray raises, a dead replica as much as an error in one, becomes EngineError.
    """

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle
        self._answer = handle.answer
        self._stream = handle.options(stream=True).stream

    async def answer(self, request: EngineRequest) -> Answer:
        """The whole answer; cancelling it cancels the replica's work."""
        response = self._answer.remote(request)
        try:
            answer: Answer = await response
        except Exception as error:
            raise _engine_error(error) from error
        finally:
            response.cancel()  # type: ignore[no-untyped-call]
        return answer

    async def stream(self, request: EngineRequest) -> AsyncIterator[Answer | bytes]:
        """The replica's items as they come; closing the iterator cancels the replica's work."""
        response = self._stream.remote(request)
        try:
            async for item in response:  # type: ignore[union-attr]
                yield item
        except Exception as error:
            raise _engine_error(error) from error
        finally:
            response.cancel()  # type: ignore[no-untyped-call]

    async def metrics(self) -> list[str]:
        """What the engine of every replica says of itself."""
        try:
            found: list[str] = await self._handle.broadcast("metrics").results_async(
                timeout_s=METRICS_LIMIT_S
            )
        except Exception as error:
            raise _engine_error(error) from error
        return found


def _engine_error(error: Exception) -> EngineError:
    text = str(error).strip().splitlines()
    return EngineError(f"{type(error).__name__}: {text[-1] if text else 'no details'}")
