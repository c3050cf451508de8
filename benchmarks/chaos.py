"""Requests at a simulated fleet whose replicas are killed at random, and what became of each.

    python -m benchmarks.chaos [--requests 10000] [--concurrency 128] [--every 8] [--out FILE]

Every few seconds one replica's process gets SIGKILL; Ray Serve starts another. Half of the requests
stream. A request is lost when it fails although its first byte had not been sent; a stream that
breaks after its first byte cannot be mended by anyone and is counted apart. At the end no engine
and no ingress may hold a place for a request that nobody waits for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import RayServeException

from benchmarks.served import Done, closed_loop, served
from boute.deployments.options import ServingOptions
from boute.plan.model import Plan

ROOT = Path(__file__).resolve().parent.parent
TOKENS = 8
REPLICAS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--every", type=float, default=8.0, help="seconds between two kills")
    parser.add_argument("--haproxy", choices=("auto", "on", "off"), default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "out/chaos.json")
    arguments = parser.parse_args()
    with served(_two_replicas_each, ServingOptions(haproxy=arguments.haproxy)) as (url, fleet):
        result = _run(url, fleet.plan, arguments)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["lost"] == result["wrong_usage"] == result["leaked"] == 0 else 1)


def _two_replicas_each(plan: Plan) -> Plan:
    pools = [pool.model_copy(update={"replicas": REPLICAS}) for pool in plan.pools]
    return plan.model_copy(update={"pools": pools})


def _run(url: str, plan: Plan, arguments: argparse.Namespace) -> dict[str, Any]:
    killed: list[str] = []
    stop = threading.Event()
    names = [pool.name for pool in plan.pools]
    killer = threading.Thread(
        target=_kill, args=(names, arguments.every, random.Random(arguments.seed), killed, stop)
    )
    killer.start()
    try:
        done, seconds = asyncio.run(_load(url, arguments.requests, arguments.concurrency))
    finally:
        stop.set()
        killer.join()
    outcomes = Counter(answer.outcome for answer in done)
    leaked = _leaked(names)
    return {
        "requests": len(done),
        "seconds": seconds,
        "killed": len(killed),
        "killed_by_pool": dict(Counter(killed)),
        "answered": outcomes["ok"],
        "lost": outcomes["lost"],
        "broken_after_first_byte": outcomes["broken"],
        "wrong_usage": outcomes["wrong"],
        "leaked": sum(leaked.values()) + _running(url),
        "errors": dict(
            Counter(answer.error[:120] for answer in done if answer.error).most_common(5)
        ),
    }


async def _load(url: str, requests: int, concurrency: int) -> tuple[list[Done], float]:
    chat = f"{url}/v1/chat/completions"
    start = time.perf_counter()
    halves = await asyncio.gather(
        *(
            closed_loop(
                chat,
                requests=requests // 2,
                concurrency=concurrency // 2,
                tokens=TOKENS,
                stream=stream,
            )
            for stream in (False, True)
        )
    )
    return [answer for done, _ in halves for answer in done], time.perf_counter() - start


def _kill(
    pools: list[str],
    every_s: float,
    chance: random.Random,
    killed: list[str],
    stop: threading.Event,
) -> None:
    while not stop.wait(every_s):
        pool = chance.choice(pools)
        replicas = sorted(_replicas(pool), key=lambda process: process.pid)
        if replicas:
            chance.choice(replicas).kill()
            killed.append(pool)


def _replicas(pool: str) -> list[psutil.Process]:
    """Processes of a pool's replicas, which Ray names after the deployment."""
    name = f"ray::ServeReplica:boute:{pool}"
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if " ".join(process.cmdline()).strip() == name:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _leaked(pools: list[str]) -> dict[str, int]:
    """Places that replicas still hold once all clients have gone, a few seconds granted."""
    held: dict[str, int] = {}
    for _ in range(60):
        held = {pool: _held(pool) for pool in pools}
        if not any(held.values()):
            break
        time.sleep(1.0)
    return held


def _held(pool: str) -> int:
    """Places held in a pool; 1 while its replicas are all being started again, and cannot say."""
    handle = serve.get_deployment_handle(pool, app_name="boute")
    try:
        return sum(handle.broadcast("unfinished").results(timeout_s=30))
    except (RayServeException, RayActorError, TimeoutError):
        return 1


def _running(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        text = answer.read().decode()
    found = re.findall(r"^boute_num_requests_running\{[^}]*\} (\S+)$", text, re.MULTILINE)
    return int(sum(float(value) for value in found))


if __name__ == "__main__":
    main()
