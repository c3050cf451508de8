"""Every engine, started once for a module, and an endpoint for those that need one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from boute.deployments.engines.base import Answer, Engine, EngineRequest
from boute.deployments.engines.make import make_engine
from boute.deployments.engines.settings import EngineSettings
from boute.spec.family import ServedBy

START_LIMIT_S = 60.0


@dataclass
class Endpoint:
    """An OpenAI endpoint over real HTTP: an engine behind uvicorn, in a thread of its own."""

    engine: Engine
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append({"path": scope["path"], "headers": headers, "body": body})
        request = EngineRequest(scope["path"], body, f"r{len(self.requests)}")
        work = asyncio.create_task(self._respond(request, send))
        gone = asyncio.create_task(receive())  # the next thing to come is a disconnect
        await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        for task in (work, gone):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    async def _respond(self, request: EngineRequest, send: Any) -> None:
        async def begin(answer: Answer) -> None:
            headers = [(b"content-type", answer.media_type.encode())]
            message = {"type": "http.response.start", "status": answer.status, "headers": headers}
            await send(message)

        if request.path == "/v1/models":
            answer = Answer(200, b'{"object": "list", "data": []}')
        elif b'"stream": true' in request.body:
            async with aclosing(self.engine.stream(request)) as items:
                async for item in items:
                    if isinstance(item, Answer):
                        await begin(item)
                    body = item.body if isinstance(item, Answer) else item
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        else:
            answer = await self.engine.answer(request)
        await begin(answer)
        await send({"type": "http.response.body", "body": answer.body})


@contextmanager
def served(endpoint: Any, engine: Engine | None = None) -> Iterator[tuple[int, Any]]:
    """An ASGI app on a free port; yields the port and what ends it."""
    import uvicorn

    config = uvicorn.Config(
        endpoint, port=0, lifespan="off", log_level="error", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        if engine is not None:
            await engine.start()
        await server.serve()
        if engine is not None:
            await engine.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    limit = threading.Event()
    for _ in range(int(START_LIMIT_S / 0.02)):
        if server.started:
            break
        limit.wait(0.02)
    assert server.started, "uvicorn does not start"

    def end() -> None:
        server.should_exit = True
        thread.join(START_LIMIT_S)

    try:
        yield server.servers[0].sockets[0].getsockname()[1], end
    finally:
        end()


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """Puts an ASGI app on a free port."""
    return served


@dataclass
class Case:
    """An engine under test; `kill` ends what it stands on, `others` counts places upstream."""

    engine: Engine
    runner: asyncio.Runner
    kill: Callable[[], None]
    real: bool
    others: Callable[[], int] = int

    def run(self, work: Any) -> Any:
        return self.runner.run(asyncio.wait_for(work, START_LIMIT_S))

    async def unoccupied(self) -> None:
        """Wait until no request holds a place any more."""
        while self.engine.unfinished() or self.others():
            await asyncio.sleep(0.01)


def end_process(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def core_pids(engine: Any) -> list[int]:
    """Processes of vLLM's core, below an engine that runs it in the replica."""
    client = getattr(engine, "_engine", None) or engine._vllm()
    return [process.pid for process in client.engine_core.resources.engine_manager.processes]


@contextmanager
def own_ray() -> Iterator[None]:
    import ray

    folder = tempfile.mkdtemp(prefix="boute-", dir="/tmp")  # names of sockets have to be short
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def collect() -> None:
    """vLLM leaves sockets for the garbage collector to close, which warns of each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


ENGINES = [
    pytest.param("simulated"),
    pytest.param("openai"),
    pytest.param("vllm", marks=pytest.mark.vllm),
    pytest.param("vllm-process", marks=pytest.mark.vllm),
    pytest.param("ray-llm", marks=[pytest.mark.vllm, pytest.mark.ray]),
]


@pytest.fixture(scope="module", params=ENGINES)
def case(
    request: pytest.FixtureRequest, settings_of: Callable[..., EngineSettings]
) -> Iterator[Case]:
    """Each engine, up and running on an event loop of its own."""
    name = request.param
    with contextlib.ExitStack() as stack:
        stack.callback(collect)
        runner = stack.enter_context(asyncio.Runner())
        kill: Callable[[], None] | None = None
        others: Callable[[], int] = int  # none
        changes: dict[str, Any] = {}
        if name == "openai":
            endpoint = Endpoint(make_engine(settings_of()))
            port, kill = stack.enter_context(served(endpoint, endpoint.engine))
            others = endpoint.engine.unfinished
            url = f"http://127.0.0.1:{port}/v1"
            changes["served_by"] = ServedBy(engine="openai", base_url=url)
        elif name != "simulated":
            changes["weights_from"] = str(request.getfixturevalue("tiny_model"))
        if name == "ray-llm":
            stack.enter_context(own_ray())
        engine: Any = make_engine(settings_of(name, **changes))
        runner.run(engine.start())
        stack.callback(lambda: runner.run(engine.stop()))
        if name == "simulated":
            kill = lambda: runner.run(engine.stop())  # noqa: E731
        elif name == "vllm-process":
            kill = lambda: end_process([engine._server.pid])  # noqa: E731
        elif kill is None:
            kill = lambda: end_process(core_pids(engine))  # noqa: E731
        yield Case(engine, runner, kill, name in ("vllm", "vllm-process", "ray-llm"), others)
