"""Open-loop replay: each request is sent at its time, whatever became of those before it.

One process and one event loop. The sender's own lateness is in every record, so that a client
that cannot keep up is seen and not taken for a slow server.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from boute.bench.checks import Check
from boute.bench.client import Exchange
from boute.bench.record import Record
from boute.bench.requests import BenchRequest
from boute.errors import InputError

__all__ = ["Client", "replay", "served_models", "server_url"]

# Below what servers keep an idle connection (uvicorn 5 s), so that none is used as it closes.
_KEEPALIVE_S: Final = 4.0
_ASKING_S: Final = 30.0


@dataclass(frozen=True)
class Client:
    """How requests reach a server: its address without /v1, a key, and limits.

    `max_concurrency` makes the loop closed above it: requests then wait for a place, unmeasured.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 600.0
    max_concurrency: int | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of every request."""
        return {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key}"}


def server_url(url: str) -> str:
    """An address as a user gives it, with or without /v1, as the one to send to.

    Raises InputError.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment:
        raise InputError(
            "is no address of a server", where=url, mend="for example http://host:8000"
        )
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def served_models(client: Client) -> list[str]:
    """Names of the models that a server lists; empty where it lists none.

    Raises InputError when it cannot be reached or refuses the key.
    """
    return asyncio.run(_served_models(client))


async def replay(
    requests: Sequence[BenchRequest],
    client: Client,
    *,
    warmup: int = 0,
    check: Check | None = None,
    done: Callable[[Record], None] = lambda _: None,
) -> list[Record]:
    """Send every request at its `arrival_s` and return a record of each, in order of arrival.

    The first `warmup` requests are sent once before, one after the other, and not counted. `done`
    hears of each record as it is made.
    """
    async with _session(client) as session:
        for request in requests[:warmup]:
            await Exchange(request).run(session, timeout_s=client.timeout_s)
        places = asyncio.Semaphore(client.max_concurrency or max(len(requests), 1))
        origin_s = time.perf_counter()

        async def send(request: BenchRequest) -> Record:
            client_lag_s = max(time.perf_counter() - origin_s - request.arrival_s, 0.0)
            async with places:
                record = await Exchange(request).run(
                    session,
                    origin_s=origin_s,
                    client_lag_s=client_lag_s,
                    timeout_s=client.timeout_s,
                    check=check,
                )
            done(record)
            return record

        tasks = []
        with _no_garbage_walks():
            async with asyncio.TaskGroup() as group:
                for request in requests:
                    wait_s = origin_s + request.arrival_s - time.perf_counter()
                    if wait_s > 0:
                        await asyncio.sleep(wait_s)
                    tasks.append(group.create_task(send(request)))
        return [task.result() for task in tasks]


@contextlib.contextmanager
def _no_garbage_walks() -> Iterator[None]:
    """Keep the collector away from what was there before: walking it would stop the clock."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _session(client: Client) -> aiohttp.ClientSession:
    """A session without limits of its own, with as many open files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems name a limit that they then do not grant.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return aiohttp.ClientSession(
        f"{client.url}/",
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S),
        headers=client.headers,
        timeout=aiohttp.ClientTimeout(total=None),
    )


async def _served_models(client: Client) -> list[str]:
    async with _session(client) as session:
        try:
            async with asyncio.timeout(_ASKING_S), session.get("v1/models") as response:
                if response.status in (401, 403):
                    raise InputError(
                        f"refuses the key (HTTP {response.status})",
                        where=client.url,
                        mend="name the variable that holds one with --api-key-env",
                    )
                listed = await response.json(content_type=None) if response.ok else {}
        except (aiohttp.ClientError, OSError) as problem:
            raise InputError(
                f"cannot be reached: {problem or 'no answer'}",
                where=client.url,
                mend="is the server up?",
            ) from None
        except ValueError:
            return []
    models = listed.get("data") if isinstance(listed, dict) else None
    return [str(model["id"]) for model in models or [] if isinstance(model, dict) and "id" in model]
