"""vLLM's own server as a child of the replica, for models that need another vLLM than ours.

The child gets the same arguments as the engine in the replica, listens on a free port of this
machine alone, and requests are relayed to it. It ends with the replica: by `stop`, and on Linux
also when the replica is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator
from time import monotonic
from typing import Final

from boute.deployments.engines.arguments import command_line, engine_env, vllm_arguments
from boute.deployments.engines.base import Answer, EngineError, EngineRequest
from boute.deployments.engines.openai import OpenAIEngine
from boute.deployments.engines.settings import EngineSettings
from boute.deployments.engines.vllm_api import warm_up

__all__ = ["ProcessEngine"]

START_S: Final = 1800.0  # large weights over a network take long
POLL_S: Final = 0.2
TERMINATE_S: Final = 20.0
LAST_WORDS_S: Final = 2.0
TAIL_CHARS: Final = 3000

# PR_SET_PDEATHSIG, SIGTERM: set by the child itself, because running Python between fork and exec
# of a process with threads is not safe. It stays set across the exec.
_DIE_WITH_PARENT: Final = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)
os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])
"""


class ProcessEngine:
    """A server of vLLM and the relay to it."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._server: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._relay: OpenAIEngine | None = None
        self._url = ""
        self._tail = ""

    async def start(self) -> None:
        """Start the server, wait until it is healthy and answer a first request.

        Raise EngineError with the end of its output where it does not come up.
        """
        port = _free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._relay = OpenAIEngine(f"{self._url}/v1", model=self._settings.model)
        await self._relay.start()
        self._server = self._spawn(port)
        self._reader = threading.Thread(target=self._copy_output, args=[self._server], daemon=True)
        self._reader.start()
        deadline_s = monotonic() + START_S
        while not await self._healthy():
            if monotonic() > deadline_s:
                raise EngineError(f"vLLM's server is not up after {START_S:g} s: {self._tail}")
            await asyncio.sleep(POLL_S)
        await warm_up(self._relay, self._settings.model)

    async def check(self) -> None:
        """Raise EngineError unless the server lives and says that it is healthy."""
        if not await self._healthy():
            raise EngineError("vLLM's server is not healthy")

    def unfinished(self) -> int:
        """Requests that the server has not answered to the end."""
        return 0 if self._relay is None else self._relay.unfinished()

    async def metrics(self) -> str:
        """vLLM's own metrics."""
        return (await self._running().get(f"{self._url}/metrics"))[1]

    async def stop(self) -> None:
        """Ask the server to end, and end it and its children if it does not."""
        relay, self._relay = self._relay, None
        server, self._server = self._server, None
        if relay is not None:
            await relay.stop()
        if server is not None:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(server.wait, TERMINATE_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            await asyncio.to_thread(server.wait)

    async def answer(self, request: EngineRequest) -> Answer:
        """The server's whole answer."""
        return await self._running().answer(request)

    def stream(self, request: EngineRequest) -> AsyncGenerator[Answer | bytes]:
        """The server's events."""
        return self._running().stream(request)

    def _running(self) -> OpenAIEngine:
        if self._relay is None:
            raise EngineError("vLLM's server is not running")
        return self._relay

    async def _healthy(self) -> bool:
        """Whether the server says that it is; EngineError if it is no more."""
        relay, server, reader = self._running(), self._server, self._reader
        if server is None or reader is None:
            raise EngineError("vLLM's server is not running")
        if server.poll() is not None:
            # What it said last may be on its way; a child of its own could keep the pipe open.
            await asyncio.to_thread(reader.join, LAST_WORDS_S)
            raise EngineError(f"vLLM's server ended with status {server.returncode}: {self._tail}")
        try:
            return (await relay.get(f"{self._url}/health"))[0] == 200
        except EngineError:
            return False

    def _spawn(self, port: int) -> subprocess.Popen[str]:
        settings = self._settings
        arguments = vllm_arguments(settings) | {
            "host": "127.0.0.1",
            "port": port,
            "disable_uvicorn_access_log": True,
        }
        environment = os.environ | engine_env(settings)
        environment.pop("VLLM_API_KEY", None)  # the relay would have to know it
        if settings.served_by.python is not None:
            environment.pop("PYTHONPATH", None)  # it leads to our packages
        python = settings.served_by.python or sys.executable
        server = "vllm.entrypoints.openai.api_server"
        try:
            return subprocess.Popen(
                [python, "-c", _DIE_WITH_PARENT, server, *command_line(arguments)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                # A group of its own, so that what it started can be ended with it.
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"{python} cannot be run: {error}") from error

    def _copy_output(self, server: subprocess.Popen[str]) -> None:
        """Pass the server's output on to ours, and keep the end of it for errors."""
        assert server.stdout is not None
        with server.stdout:
            for line in server.stdout:
                self._tail = (self._tail + line)[-TAIL_CHARS:]
                sys.stderr.write(line)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
