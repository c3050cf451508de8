"""A simulated fleet on Ray Serve for the benchmarks of serving, and a client that counts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
import yaml

from boute.deployments.cluster import Cluster
from boute.deployments.fleet import BuildArguments, Fleet, load_fleet
from boute.deployments.local import local_cluster
from boute.deployments.options import ServingOptions
from boute.optimizer.run import Request, optimize
from boute.plan.model import Plan
from boute.plan.store import save_plan

__all__ = ["Done", "ask", "closed_loop", "served", "two_model_plan"]

SPEC: dict[str, Any] = {
    "models": ["llama-3.1-8b", "llama-3.1-70b"],
    "gpus": {"h100-sxm": {"count": 8}},
    "workload": {"trace": "azure-conversation", "duration_s": 60},
    "quality": {"table": "quality.csv", "query": "query"},
}
UP_LIMIT_S = 300.0
QUESTION = "A farmer has 17 sheep and all but 9 run away. How many are left, and why? " * 8


@dataclass(frozen=True)
class Done:
    """What became of one request.

    `lost` failed before the first byte of an answer, `broken` is a stream that ended after it, and
    `wrong` is whole but says another number of tokens than was asked for.
    """

    outcome: Literal["ok", "lost", "broken", "wrong"]
    ttft_s: float
    e2e_s: float
    error: str


def two_model_plan(folder: Path, edit: Callable[[Plan], Plan]) -> Path:
    """A plan by the planner in which both models serve, routed by text, edited and written."""
    names = SPEC["models"]
    rows = [",".join(["query", *names, *(f"{name}_output_tokens" for name in names)])]
    for number in range(100):
        rows.append(f"What is {number} + {number + 2}?,1,1,20,20")
        rows.append(f"Prove theorem {number} for all groups,{int(number % 4 == 0)},1,200,180")
    (folder / "quality.csv").write_text("\n".join(rows) + "\n")
    spec = folder / "boute.yaml"
    spec.write_text(yaml.safe_dump(SPEC))
    result = optimize(Request(spec, folder / "out", sampler="sobol", evaluations=24, seed=1))
    plan = next(plan for plan in result.plans if len({pool.model for pool in plan.pools}) == 2)
    path = folder / "out" / "plans" / "benchmark.yaml"
    save_plan(edit(plan), path)
    return path


@contextlib.contextmanager
def served(edit: Callable[[Plan], Plan], options: ServingOptions) -> Iterator[tuple[str, Fleet]]:
    """Serve a plan by simulation; give its URL and what is served."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = two_model_plan(folder, edit)
        file = folder / "serve.yaml"
        file.write_text(yaml.safe_dump(options.model_dump(mode="json")))
        arguments = BuildArguments(plan=str(plan), options=str(file), engine="simulated")
        fleet = load_fleet(arguments)
        port = _free_port()
        with local_cluster(options) as address:
            cluster = Cluster(address)
            cluster.deploy(arguments, fleet.live, host="127.0.0.1", port=port)
            cluster.wait(live=fleet.live, limit_s=UP_LIMIT_S, report=lambda _: None)
            try:
                yield f"http://127.0.0.1:{port}", fleet
            finally:
                cluster.delete(limit_s=60.0)
                cluster.shut_down()


async def ask(
    session: aiohttp.ClientSession, url: str, *, tokens: int, stream: bool, model: str = "boute"
) -> Done:
    """One chat request, and whether what came back is whole."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": tokens,
        "stream": stream,
    }
    if stream:
        body["stream_options"] = {"include_usage": True}
    start = time.perf_counter()
    first = None
    parts: list[bytes] = []
    status, error = 0, ""
    try:
        async with session.post(url, json=body) as answer:
            status = answer.status
            async for part in answer.content.iter_any():
                first = first or time.perf_counter()
                parts.append(part)
    except (aiohttp.ClientError, TimeoutError) as problem:
        error = f"{type(problem).__name__}: {problem}"
    end = time.perf_counter()
    text = b"".join(parts)
    begun = first is not None and status == 200
    tokens_said = _tokens_said(text, stream=stream) if begun and not error else None
    outcome: Literal["ok", "lost", "broken", "wrong"] = "lost"
    if begun:
        outcome = "broken" if tokens_said is None else "ok" if tokens_said == tokens else "wrong"
    return Done(
        outcome=outcome,
        ttft_s=(first or end) - start,
        e2e_s=end - start,
        error=error or ("" if begun else f"{status} {text[:200].decode('utf-8', 'replace')}"),
    )


def _tokens_said(text: bytes, *, stream: bool) -> int | None:
    """The generated tokens of its usage; None when the answer is not whole."""
    if not stream:
        return int(json.loads(text)["usage"]["completion_tokens"])
    events = [line[6:] for line in text.splitlines() if line.startswith(b"data: ")]
    if not events or events[-1] != b"[DONE]":
        return None
    usages = [chunk["usage"] for chunk in map(json.loads, events[:-1]) if chunk.get("usage")]
    return int(usages[0]["completion_tokens"]) if len(usages) == 1 else -1


async def closed_loop(
    url: str, *, requests: int, concurrency: int, tokens: int, stream: bool
) -> tuple[list[Done], float]:
    """So many requests, so many at a time; what came of each, and the seconds in all."""
    left = iter(range(requests))
    done: list[Done] = []
    timeout = aiohttp.ClientTimeout(total=600)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:

        async def client() -> None:
            for _ in left:
                done.append(await ask(session, url, tokens=tokens, stream=stream))

        start = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(concurrency)))
        return done, time.perf_counter() - start


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
