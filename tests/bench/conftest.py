"""A real server with OpenAI's API whose pace and faults are known, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

TTFT_S = 0.03
TPOT_S = 0.01


class Server:
    """Answers each prompt with as many tokens as are asked for, or with the fault it names.

    `seen` has every request in order of arrival. With `hold` set, no answer begins before so many
    requests are open at once. `say X` is answered with X.
    """

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.scores: list[str | None] = []
        self.hold = 0
        self.models = ["boute", "small"]
        self.url = ""
        self._open = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    @property
    def prompts(self) -> list[str]:
        """What was asked, in order of arrival."""
        return [text_of(body) for body in self.seen]

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(30)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._all_open = asyncio.Event()
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_post("/v1/completions", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stopped.wait()
        await runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("Authorization"))
        if self.keys[-1] == "Bearer wrong":
            return web.json_response({"error": {"message": "no such key"}}, status=401)
        return web.json_response({"data": [{"id": name} for name in self.models]})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(body)
        self.keys.append(request.headers.get("Authorization"))
        self.scores.append(request.headers.get("x-boute-score"))
        prompt = text_of(body)
        if prompt == "refuse":
            return web.json_response({"error": {"message": "too many", "code": 429}}, status=429)
        if self.hold:
            await self._until_all_are_open()
        await asyncio.sleep(TTFT_S)
        tokens = prompt[4:].split(" ") if prompt.startswith("say ") else ["w"] * tokens_of(body)
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(tokens)}
        size = "large" if "hard" in prompt else "small"
        headers = {"x-boute-model": size, "x-boute-pool": f"{size}-pool"}
        is_chat = "messages" in body
        if not body.get("stream"):
            part = {"message": {"content": " ".join(tokens)}} if is_chat else {"text": "w"}
            answer = {"choices": [{"index": 0, **part}], "usage": usage, "model": size}
            return web.json_response(answer, headers=headers)
        response = web.StreamResponse(headers=headers | {"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await self._stream(request, response, prompt, tokens, usage, is_chat=is_chat)
        return response

    async def _stream(
        self,
        request: web.Request,
        response: web.StreamResponse,
        prompt: str,
        tokens: list[str],
        usage: dict[str, int],
        *,
        is_chat: bool,
    ) -> None:
        def chunk(piece: str, finish: str | None = None) -> bytes:
            part = {"delta": {"content": piece}} if is_chat else {"text": piece}
            return event({"choices": [{"index": 0, **part, "finish_reason": finish}]})

        if is_chat:
            await response.write(event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}))
        for number, token in enumerate(tokens):
            if number:
                await asyncio.sleep(TPOT_S)
            await response.write(chunk(token if number == 0 else f" {token}"))
            if number == 1 and await self._fault(prompt, request, response):
                return
        await response.write(chunk("", "stop"))
        await response.write(event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n")

    async def _fault(self, prompt: str, request: web.Request, response: web.StreamResponse) -> bool:
        """Do what the prompt names after the second token; whether that ends the answer."""
        if prompt == "break":
            assert request.transport is not None
            request.transport.abort()
        elif prompt == "hang":
            await self._stopped.wait()
        elif prompt == "garbage":
            await response.write(b"data: what?\n\n")
        elif prompt == "error":
            await response.write(event({"error": {"message": "engine died", "code": 500}}))
        return prompt in ("break", "hang", "garbage", "error", "cut")

    async def _until_all_are_open(self) -> None:
        self._open += 1
        if self._open == self.hold:
            self._all_open.set()
        await self._all_open.wait()


def text_of(body: dict[str, Any]) -> str:
    """The text that a request asks about."""
    return str(body["messages"][-1]["content"] if "messages" in body else body["prompt"])


def tokens_of(body: dict[str, Any]) -> int:
    """How many tokens a request asks for, under the name of its API or the older one."""
    return int(body.get("max_completion_tokens") or body["max_tokens"])


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    running.start()
    yield running
    running.stop()
