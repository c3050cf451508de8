"""What boute's ingress costs over a bare one, side by side in one run.

    python -m benchmarks.ingress_overhead [--out FILE] [--rounds N]

Both are Ray Serve deployments in front of the same replicas of the same simulated engine. The bare
one passes the body on and streams back what comes: no routing, no keys, no metrics, no log. Rounds
of both alternate, so that a drift of the machine meets both. Ratios are medians over rounds of ours
over the bare one's: latency is the median E2E of a round, throughput its requests a second. Also
times the decision itself (score, threshold, pool) on prompts of 1,000 tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

from ray import serve
from starlette.requests import Request
from starlette.responses import StreamingResponse

from benchmarks.served import closed_loop, served
from boute.deployments.engines.base import EngineRequest
from boute.deployments.fleet import Fleet
from boute.deployments.gateway.bodies import Query
from boute.deployments.gateway.chooser import Chooser
from boute.deployments.options import ServingOptions
from boute.plan.model import Plan
from boute.routing.router import Router

ROOT = Path(__file__).resolve().parent.parent
CONCURRENCIES = (1, 8, 32)
TOKENS = 32
PER_CLIENT = 6
LIMIT = 0.05
DECISIONS = 2000
DECISION_LIMIT_MS = 0.5
WORDS = ("the", "model", "answers", "questions", "about", "sums", "proofs", "farms", "and", "code")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "out/ingress_overhead.json")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--haproxy", choices=("auto", "on", "off"), default="auto")
    arguments = parser.parse_args()
    options = ServingOptions(haproxy=arguments.haproxy)
    with served(_all_to_the_cheapest, options) as (url, fleet):
        serve.run(_bare(fleet.plan.pools[0].name), name="bare", route_prefix="/bare")
        urls = {"boute": f"{url}/v1/chat/completions", "bare": f"{url}/bare"}
        rows = [
            _compare(urls, concurrency, stream=stream, rounds=arguments.rounds)
            for stream in (False, True)
            for concurrency in CONCURRENCIES
        ]
        serve.delete("bare")
        decision = _decision(fleet)
    result = {"tokens": TOKENS, "rounds": arguments.rounds, "rows": rows, "decision": decision}
    result["bars"] = {
        "overhead": all(row["within_limit"] for row in rows),
        "decision": decision["p99_ms"] < DECISION_LIMIT_MS,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def _decision(fleet: Fleet) -> dict[str, float]:
    """Milliseconds of scoring a text of 1,000 tokens and choosing by it: no two texts alike."""
    assert fleet.live.router_folder is not None
    chooser = Chooser(fleet.live, Router.load(Path(fleet.live.router_folder)))
    chance = random.Random(0)
    times = []
    for _ in range(DECISIONS):
        # A word and a number each, which every tokenizer takes apart.
        text = " ".join(chance.choice(WORDS) + str(chance.randrange(100)) for _ in range(500))
        query = Query("/v1/chat/completions", "boute", False, True, text, b"{}")
        start = time.perf_counter()
        chooser.choose(query, {}, None)
        times.append(1e3 * (time.perf_counter() - start))
    cuts = statistics.quantiles(times, n=100)
    return {"p50_ms": cuts[49], "p99_ms": cuts[98]}


def _all_to_the_cheapest(plan: Plan) -> Plan:
    """One pool with one replica takes every query: what is compared is the ingress alone."""
    cheapest = plan.routing.models[0]
    pool = next(pool for pool in plan.pools if pool.model == cheapest)
    routing = plan.routing.model_copy(
        update={"thresholds": [1.0] * len(plan.routing.thresholds)}
        | {"fractions": [1.0] + [0.0] * (len(plan.routing.models) - 1)}
    )
    only = pool.model_copy(update={"replicas": 1, "weight": 1.0})
    return plan.model_copy(update={"routing": routing, "pools": [only]})


def _bare(pool: str) -> serve.Application:
    class Bare:
        def __init__(self) -> None:
            handle = serve.get_deployment_handle(pool, app_name="boute")
            self._answer = handle.answer
            self._stream = handle.options(stream=True).stream
            self._asked = 0

        async def __call__(self, request: Request) -> Any:
            body = await request.body()
            self._asked += 1
            asked = EngineRequest("/v1/chat/completions", body, f"bare-{self._asked}")
            if b'"stream": true' in body:
                return StreamingResponse(self._events(asked), media_type="text/event-stream")
            answer = await self._answer.remote(asked)
            return StreamingResponse(iter([answer.body]), media_type="application/json")

        async def _events(self, request: EngineRequest) -> Any:
            async for item in self._stream.remote(request):
                if isinstance(item, bytes):
                    yield item

    options = {"num_cpus": 0}
    return serve.deployment(max_ongoing_requests=2048, ray_actor_options=options)(Bare).bind()


def _compare(
    urls: dict[str, str], concurrency: int, *, stream: bool, rounds: int
) -> dict[str, Any]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in urls}
    for turn in range(rounds + 1):
        # The order alternates too: whoever goes first has the caches of the other.
        for name in sorted(urls, reverse=bool(turn % 2)):
            done, seconds = asyncio.run(
                closed_loop(
                    urls[name],
                    requests=concurrency * PER_CLIENT,
                    concurrency=concurrency,
                    tokens=TOKENS,
                    stream=stream,
                )
            )
            bad = [answer for answer in done if answer.outcome != "ok"]
            assert not bad, bad[:3]
            if turn:  # the first round warms both up
                found[name].append(
                    (statistics.median(answer.e2e_s for answer in done), len(done) / seconds)
                )
    ours, bare = found["boute"], found["bare"]
    latency = statistics.median(a[0] / b[0] for a, b in zip(ours, bare, strict=True))
    throughput = statistics.median(a[1] / b[1] for a, b in zip(ours, bare, strict=True))
    return {
        "stream": stream,
        "concurrency": concurrency,
        "bare_e2e_ms": 1e3 * statistics.median(row[0] for row in bare),
        "boute_e2e_ms": 1e3 * statistics.median(row[0] for row in ours),
        "latency_ratio": latency,
        "throughput_ratio": throughput,
        "within_limit": latency <= 1 + LIMIT and throughput >= 1 - LIMIT,
    }


if __name__ == "__main__":
    main()
