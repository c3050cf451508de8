"""Any endpoint that speaks the OpenAI API, as a member of the family.

Requests go on as they came but for `model`, which becomes the endpoint's own name of it, and the
key; answers come back untouched. What speaks of the endpoint rather than of the request (it cannot
be reached, 5xx, 429, a key or a model that it does not know) is an EngineError, so that something
else may answer instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

import aiohttp

from boute.deployments.engines.base import Answer, EngineError, EngineRequest
from boute.deployments.engines.settings import EngineSettings
from boute.deployments.engines.sse import stream_of, whole_events
from boute.errors import PlanError

__all__ = ["OpenAIEngine"]

CONNECT_S: Final = 10.0
CHECK_S: Final = 10.0
# The client's request is as good as before: the endpoint's key, its name of the model or its load
# are in the way.
_NOT_THE_CLIENT: Final = frozenset({401, 403, 404, 407, 408, 429})


class OpenAIEngine:
    """Passes requests on to `base_url`, which ends in /v1."""

    def __init__(
        self, base_url: str, *, model: str, key: str | None = None, check_path: str = "/models"
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._model = model
        self._check_path = check_path
        # Without compression, because it would hold tokens of a stream back.
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._session: aiohttp.ClientSession | None = None
        self._unfinished = 0

    @classmethod
    def of(cls, settings: EngineSettings) -> OpenAIEngine:
        """The engine that a plan describes; raise PlanError where it has no key."""
        served_by = settings.served_by
        assert served_by.base_url is not None, "ServedBy sees to it"
        variable = served_by.api_key_env
        if variable is not None and not os.environ.get(variable):
            raise PlanError(
                f"the environment has no {variable}",
                where=f"models.{settings.model}.served_by.api_key_env",
                mend="set it where the replicas run",
            )
        key = None if variable is None else os.environ[variable]
        return cls(served_by.base_url, model=served_by.model or settings.model, key=key)

    async def start(self) -> None:
        """Open the pool of connections; nothing is asked of the endpoint, which may cost money."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                headers=self._headers,
                # An endpoint out in the world may be behind a proxy; one on this network is not.
                trust_env=self._base_url.startswith("https://"),
            )

    async def check(self) -> None:
        """Raise EngineError unless the endpoint lists its models, or says that it has no list."""
        status, _ = await self.get(self._base_url + self._check_path)
        if status >= 400 and status not in (404, 405):
            raise EngineError(f"{self._base_url} answers with status {status}")

    async def get(self, url: str) -> tuple[int, str]:
        """Status and text of a page of the endpoint; raise EngineError if it does not answer."""
        timeout = aiohttp.ClientTimeout(total=CHECK_S)
        try:
            async with self._reached().get(url, timeout=timeout) as page:
                return page.status, await page.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._out_of_reach(error) from error

    def unfinished(self) -> int:
        """Requests that the endpoint has not answered to the end."""
        return self._unfinished

    async def metrics(self) -> str:
        """Nothing: whoever runs the endpoint collects its figures."""
        return ""

    async def stop(self) -> None:
        """Close all connections, which ends the requests under way."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def answer(self, request: EngineRequest) -> Answer:
        """The endpoint's whole answer, or its refusal."""
        async with self._post(request) as response:
            return Answer(response.status, await response.read(), response.content_type)

    async def stream(self, request: EngineRequest) -> AsyncGenerator[Answer | bytes]:
        """The endpoint's events as they come; EngineError where they stop before [DONE]."""
        async with self._post(request) as response:
            if response.status >= 400:
                yield Answer(response.status, await response.read(), response.content_type)
                return
            if response.content_type != "text/event-stream":
                raise EngineError(f"{self._base_url} does not stream")
            events = whole_events(response.content.iter_any())
            async with aclosing(stream_of(events, self._base_url)) as items:
                async for item in items:
                    yield item

    @asynccontextmanager
    async def _post(self, request: EngineRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        """Leaving early closes the connection, which is how the endpoint learns of it."""
        url = self._base_url + request.path.removeprefix("/v1")
        self._unfinished += 1
        try:
            async with self._reached().post(
                url, data=self._renamed(request.body), allow_redirects=False
            ) as response:
                status = response.status
                if status in _NOT_THE_CLIENT or not (200 <= status < 300 or 400 <= status < 500):
                    text = (await response.text(errors="replace"))[:200]
                    raise EngineError(f"{self._base_url} answers with status {status}: {text}")
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._out_of_reach(error) from error
        finally:
            self._unfinished -= 1

    def _renamed(self, body: bytes) -> bytes:
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            return body  # the endpoint says what is wrong with it
        if not isinstance(fields, dict):
            return body
        return json.dumps(fields | {"model": self._model}).encode()

    def _reached(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise EngineError(f"the connections to {self._base_url} are closed")
        return self._session

    def _out_of_reach(self, error: Exception) -> EngineError:
        return EngineError(f"{self._base_url} cannot be reached: {error!r}")
