"""A gateway over real HTTP, in front of pools that do what a test tells them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from boute.deployments.engines.base import Answer, EngineError, EngineRequest
from boute.deployments.gateway.app import create_app
from boute.deployments.gateway.gateway import Gateway
from boute.deployments.live import LiveConfig
from boute.deployments.options import ServingOptions
from boute.routing.router import Router

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@dataclass
class Pool:
    """A backend that answers three words, each when it is let, or the next thing in `script`.

    A script's entry is an exception to raise, an Answer to give, "hang", or "break": three events
    and an EngineError, "cut": three events and an end without [DONE]. Whole answers have
    log-probabilities by `confidence` where they are asked for and it is not None.
    """

    name: str
    script: deque[Any] = field(default_factory=deque)
    gap_s: float = 0.0
    confidence: float | None = 0.9
    seen: list[EngineRequest] = field(default_factory=list)
    running: int = 0
    cancelled: int = 0

    @contextlib.contextmanager
    def _counted(self, request: EngineRequest) -> Iterator[Any]:
        self.seen.append(request)
        self.running += 1
        try:
            yield self.script.popleft() if self.script else None
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def answer(self, request: EngineRequest) -> Answer:
        with self._counted(request) as what:
            if what == "hang":
                await asyncio.sleep(3600)
            if isinstance(what, Exception):
                raise what
            if isinstance(what, Answer):
                return what
            await asyncio.sleep(self.gap_s)
            text = f"{self.name} says hello"
            choice = {"index": 0, "finish_reason": "stop", "logprobs": self._logprobs(request)}
            if request.path == "/v1/chat/completions":
                choice["message"] = {"role": "assistant", "content": text}
            else:
                choice["text"] = text
            body = {"id": request.request_id, "choices": [choice], "usage": USAGE}
            return Answer(200, json.dumps(body).encode())

    def _logprobs(self, request: EngineRequest) -> dict[str, Any] | None:
        asked = json.loads(request.body).get("logprobs")
        if self.confidence is None or asked is None or asked is False:
            return None
        logprobs = [math.log(self.confidence) if self.confidence else -9999.0] * 3
        if request.path == "/v1/completions":
            return {"token_logprobs": logprobs}
        return {"content": [{"token": "x", "logprob": each} for each in logprobs]}

    async def stream(self, request: EngineRequest) -> AsyncIterator[Answer | bytes]:
        with self._counted(request) as what:
            if what == "hang":
                await asyncio.sleep(3600)
            if isinstance(what, Exception):
                raise what
            if isinstance(what, Answer):
                yield what
                return
            yield Answer(200, media_type="text/event-stream; charset=utf-8")
            for word in (self.name, " says", " hello"):
                choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
                yield event({"id": request.request_id, "choices": [choice]})
                await asyncio.sleep(self.gap_s)
            if what == "break":
                raise EngineError("the replica died")
            if what == "cut":
                return
            if json.loads(request.body).get("stream_options", {}).get("include_usage"):
                yield event({"id": request.request_id, "choices": [], "usage": USAGE})
            yield b"data: [DONE]\n\n"


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


@pytest.fixture
def pool() -> type[Pool]:
    return Pool


@pytest.fixture
def live(
    tmp_path: Path, given_router: Callable[[Sequence[str]], Router]
) -> Callable[..., LiveConfig]:
    """Three models, the middle one with two pools, routed by a score that clients give."""

    def make(**changes: Any) -> LiveConfig:
        weights = {
            "small-a": ("small", 1.0),
            "mid-a": ("mid", 0.75),
            "mid-b": ("mid", 0.25),
            "big-a": ("big", 1.0),
        }
        folder = tmp_path / "router"
        router = given_router(("small", "mid", "big"))
        routing: dict[str, Any] = {
            "models": ["small", "mid", "big"],
            "fractions": [0.5, 0.3, 0.2],
            "thresholds": [0.4, 0.8],
            "router": "router",
            "router_hash": router.save(folder),
            "dial": [
                {"quality": 0.5, "thresholds": [1.0, 1.0]},
                {"quality": 0.7, "thresholds": [0.4, 0.8]},
                {"quality": 0.9, "thresholds": [-1.0, -1.0]},
            ],
        }
        plain = {
            "plan": "plan-04",
            "plan_hash": "0" * 64,
            "fleet_hash": "0" * 64,
            "routing": routing,
            "router_folder": str(folder),
            "pools": [
                {"name": name, "model": model, "weight": weight, "gpu": "l4", "price_per_hour": 1.0}
                for name, (model, weight) in weights.items()
            ],
            "quality": 0.7,
            "request_limits": {"ttft": 1.0},
        }
        return LiveConfig.model_validate(plain | changes)

    return make


@pytest.fixture
def cascade(live: Callable[..., LiveConfig]) -> Callable[..., LiveConfig]:
    """The same three models as a cascade: half as sure is sure enough."""

    def make(**changes: Any) -> LiveConfig:
        config = live()
        update: dict[str, Any] = {
            "policy": "cascade",
            "thresholds": [0.5, 0.4],
            "loads": [1.0, 0.5, 0.2],
            "dial": [],
            "router": None,
            "router_hash": None,
        }
        routing = config.routing.model_copy(update=update | changes)
        return config.model_copy(update={"routing": routing, "router_folder": None})

    return make


@dataclass
class Served:
    """A gateway that answers at `client.base_url`, and its pools by name."""

    gateway: Gateway
    pools: dict[str, Pool]
    client: httpx.Client
    loop: asyncio.AbstractEventLoop

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.gateway.close(), self.loop).result(60)

    def connect(self, body: bytes, *, of: int | None = None) -> socket.socket:
        """A connection with a chat sent on it, or the beginning of one of `of` bytes."""
        url = self.client.base_url
        connection = socket.create_connection((url.host, url.port or 80), timeout=60)
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\nx-boute-score: 0.1\r\n"
        size = f"content-length: {len(body) if of is None else of}\r\n\r\n"
        connection.sendall((head + size).encode() + body)
        return connection

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true, and fail when it does not in half a minute."""
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.005)


@pytest.fixture
def serve(live: Callable[..., LiveConfig]) -> Iterator[Callable[..., Served]]:
    """Start a gateway on a free port; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(config: LiveConfig | None = None, **options: Any) -> Served:
            config = live() if config is None else config
            pools = {name: Pool(name) for name in ("small-a", "mid-a", "mid-b", "big-a")}
            gateway = Gateway(ServingOptions.model_validate(options), pools)
            gateway.reconfigure(config)
            return stack.enter_context(_running(gateway, pools))

        yield start


@contextlib.contextmanager
def _running(gateway: Gateway, pools: dict[str, Pool]) -> Iterator[Served]:
    loops: list[asyncio.AbstractEventLoop] = []
    listening = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(create_app(gateway), log_level="critical", lifespan="off")
    server = uvicorn.Server(settings)

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listening])

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not server.started:
                time.sleep(0.005)
            yield Served(gateway, pools, client, loops[0])
    finally:
        server.should_exit = True
        thread.join(60)
        listening.close()
        gateway._log.close()
