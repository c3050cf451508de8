"""An OpenAI endpoint whose engine is the step model: a small continuous batcher that sleeps.

Run as a program: it prints its port and serves until its standard input is closed. Options change
what it takes and tells: `no-token-ids`, `no-ignore-eos`, `no-usage`, `no-metrics`, `no-models`,
`no-completions`, `key`, `error-in-stream`. With `ingress` it tells as boute's ingress does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from aiohttp import web

FLOOR_S, TOKEN_S, SEQUENCE_S = 1e-3, 1e-5, 1e-4
OPTIONS = set(sys.argv[1:])


class Sequence:
    def __init__(self, input_tokens: int, output_tokens: int) -> None:
        self.input_tokens = input_tokens
        self.left = output_tokens
        self.prefilled = False
        self.tokens: asyncio.Queue[str | None] = asyncio.Queue()


class Engine:
    def __init__(self) -> None:
        self.running: list[Sequence] = []
        self.arrived = asyncio.Event()

    async def run(self) -> None:
        while True:
            await self.arrived.wait()
            self.arrived.clear()
            while batch := list(self.running):
                tokens = sum(1 if s.prefilled else s.input_tokens for s in batch)
                await asyncio.sleep(FLOOR_S + TOKEN_S * tokens + SEQUENCE_S * len(batch))
                for sequence in batch:
                    sequence.prefilled = True
                    sequence.left -= 1
                    sequence.tokens.put_nowait("x")
                    if sequence.left == 0:
                        sequence.tokens.put_nowait(None)
                        self.running.remove(sequence)


async def completions(request: web.Request) -> web.StreamResponse:
    body: dict[str, Any] = await request.json()
    prompt = body["prompt"]
    if "no-completions" in OPTIONS:
        raise web.HTTPNotFound(text="only chat here")
    if isinstance(prompt, list) and OPTIONS & {"no-token-ids", "no-ignore-eos"}:
        raise web.HTTPBadRequest(text="prompt should be text")
    if body.get("ignore_eos") and "no-ignore-eos" in OPTIONS:
        raise web.HTTPBadRequest(text="unknown field ignore_eos")
    # Words have three tokens each here.
    size = len(prompt) if isinstance(prompt, list) else 3 * len(prompt.split())
    sequence = Sequence(size, body["max_tokens"])
    engine: Engine = request.app["engine"]
    engine.running.append(sequence)
    engine.arrived.set()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)

    async def send(data: object) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        await response.write(f"data: {text}\n\n".encode())

    while (text := await sequence.tokens.get()) is not None:
        if "error-in-stream" in OPTIONS:
            await send({"error": {"message": "out of memory"}})
        await send({"choices": [{"index": 0, "text": text}]})
    if "no-usage" not in OPTIONS:
        usage = {"prompt_tokens": size, "completion_tokens": body["max_tokens"]}
        await send({"choices": [], "usage": usage})
    await send("[DONE]")
    return response


async def models(request: web.Request) -> web.Response:
    if "key" in OPTIONS and request.headers.get("Authorization") != "Bearer secret":
        raise web.HTTPUnauthorized
    if "no-models" in OPTIONS:
        return web.Response(text="hello")
    return web.json_response({"data": [{"id": "tiny", "max_model_len": 64}]})


async def metrics(request: web.Request) -> web.Response:
    if "no-metrics" in OPTIONS or "ingress" in OPTIONS:
        raise web.HTTPNotFound
    return web.Response(
        text='# TYPE x gauge\nvllm:cache_config_info{block_size="16",num_gpu_blocks="40"} 1.0\n'
    )


async def engine_metrics(request: web.Request) -> web.Response:
    """Two replicas and their figures; `torn` ones are not alike."""
    if "ingress" not in OPTIONS:
        raise web.HTTPNotFound
    sizes = (640, 320) if "torn" in OPTIONS else (640, 640)
    text = "".join(
        f'vllm:cache_config_info{{replica="{n}",kv_cache_size_tokens="{size}"}} 1.0\n'
        f'boute_engine_info{{replica="{n}",engine="vLLM",version="{size}"}} 1.0\n'
        for n, size in enumerate(sizes)
    )
    return web.Response(text=text)


async def version(request: web.Request) -> web.Response:
    if "no-metrics" in OPTIONS or "ingress" in OPTIONS:
        raise web.HTTPNotFound
    return web.json_response({"version": "9.9"})


async def main() -> None:
    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/completions", completions)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/metrics/engines", engine_metrics)
    app.router.add_get("/version", version)
    engine = app["engine"] = Engine()
    running = asyncio.create_task(engine.run())
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    running.cancel()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
