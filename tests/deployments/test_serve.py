"""`boute serve`, `boute apply` and the end of both, with Ray Serve running as users run it."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from boute.optimizer.run import Request, optimize
from boute.plan.model import Plan
from boute.plan.store import load_plan, save_plan

pytestmark = pytest.mark.ray

UP_LIMIT_S = 240.0
CHAT = {"model": "boute", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}


@pytest.fixture(scope="module")
def plan_file(
    tmp_path_factory: pytest.TempPathFactory, small_spec: Callable[..., dict[str, Any]]
) -> Path:
    """A plan that the planner made, in which both models serve."""
    folder = tmp_path_factory.mktemp("plan")
    write_quality_table(folder / "quality.csv")
    spec = folder / "boute.yaml"
    quality = {"table": "quality.csv", "query": "query"}
    spec.write_text(yaml.safe_dump(small_spec(quality=quality, targets={})))
    result = optimize(Request(spec, folder / "out", sampler="sobol", evaluations=16, seed=1))
    both = [plan for plan in result.plans if len({pool.model for pool in plan.pools}) == 2]
    return folder / "out" / "plans" / f"{both[0].name}.yaml"


def write_quality_table(path: Path) -> None:
    """Sums that both models know, and proofs that the larger one knows better."""
    rows = [
        "query,llama-3.1-8b,llama-3.1-70b,llama-3.1-8b_output_tokens,llama-3.1-70b_output_tokens"
    ]
    for number in range(60):
        rows.append(f"What is {number} + {number + 2}?,1,1,20,20")
        right = int(number % 4 == 0)
        rows.append(f"Prove in detail that theorem {number} holds for all groups,{right},1,200,180")
    path.write_text("\n".join(rows) + "\n")


@dataclass
class Server:
    """A running `boute serve` and what it has said."""

    process: subprocess.Popen[str]
    url: str
    dashboard: str
    lines: list[str]
    reader: threading.Thread

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "boute", *words]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def start(plan: Path, options: Path, port: int) -> Server:
    process = subprocess.Popen(
        command(
            "serve",
            str(plan),
            "--engine",
            "simulated",
            "--options",
            str(options),
            "--port",
            str(port),
        ),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    said: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, said), daemon=True)
    reader.start()
    end = time.monotonic() + UP_LIMIT_S
    while time.monotonic() < end:
        line = said.get(timeout=max(end - time.monotonic(), 0.1))
        assert line is not None, "\n".join(lines)
        lines.append(line)
        if found := re.search(r"serving \S+ at (\S+)/v1 \(Ray at (\S+)\)", line):
            return Server(process, found[1], found[2], lines, reader)
    process.kill()
    raise AssertionError("\n".join(lines))


def _read(process: subprocess.Popen[str], said: queue.Queue[str | None]) -> None:
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            said.put(line.rstrip())
    said.put(None)


def end(server: Server) -> list[psutil.Process]:
    """Ask the server to end; what of its processes is left."""
    children = server.children()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=120)
    server.reader.join(timeout=60)
    return psutil.wait_procs(children, timeout=30)[1]


@pytest.fixture(scope="module", params=["on", "off"], ids=["haproxy", "no-haproxy"])
def server(
    request: pytest.FixtureRequest, plan_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    options = folder / "serve.yaml"
    options.write_text(
        yaml.safe_dump({"haproxy": request.param, "access_log": str(folder / "access.jsonl")})
    )
    running = start(plan_file, options, free_port())
    try:
        yield running
    finally:
        if running.process.poll() is None:
            left = end(running)
            for process in left:
                process.kill()


def test_it_answers_streamed_and_whole_and_says_who_answered(
    server: Server, plan_file: Path
) -> None:
    plan = load_plan(plan_file)
    whole = httpx.post(f"{server.url}/v1/chat/completions", json=CHAT | {"max_tokens": 4})
    assert whole.status_code == 200, whole.text
    assert whole.json()["usage"]["completion_tokens"] == 4
    assert whole.headers["x-boute-model"] in plan.routing.models
    assert whole.headers["x-boute-pool"] in {pool.name for pool in plan.pools}
    assert whole.headers["x-boute-plan"] == plan.name
    assert 0 <= float(whole.headers["x-boute-score"]) <= 1
    with httpx.stream(
        "POST", f"{server.url}/v1/chat/completions", json=CHAT | {"max_tokens": 4, "stream": True}
    ) as streamed:
        lines = [line for line in streamed.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in lines)


def test_it_lists_models_and_is_healthy(server: Server, plan_file: Path) -> None:
    names = {model["id"] for model in httpx.get(f"{server.url}/v1/models").json()["data"]}
    assert {"boute", *(model.name for model in load_plan(plan_file).models)} <= names
    assert httpx.get(f"{server.url}/health").status_code == 200
    assert "boute_e2e_request_latency_seconds" in httpx.get(f"{server.url}/metrics").text
    engines = httpx.get(f"{server.url}/metrics/engines").text
    assert all(f'pool="{pool.name}",replica="0"' in engines for pool in load_plan(plan_file).pools)


def test_routing_changes_live_without_losing_a_request(
    server: Server, plan_file: Path, tmp_path: Path
) -> None:
    plan = load_plan(plan_file)
    last = plan.routing.models[-1]
    routing = plan.routing.model_copy(update={"thresholds": [-1.0] * len(plan.routing.thresholds)})
    changed = plan.model_copy(update={"routing": routing, "name": "all-to-the-last"})
    target = plan_file.parent / "all-to-the-last.yaml"
    save_plan(changed, target)
    replicas = {process.pid for process in server.children() if "ServeReplica" in process.name()}
    statuses: list[int] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=60) as client:
            while not done.is_set():
                body = CHAT | {"max_tokens": 8}
                answer = client.post(f"{server.url}/v1/chat/completions", json=body)
                statuses.append(answer.status_code)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    applied = subprocess.run(
        command("apply", str(target), "--address", server.dashboard),
        capture_output=True,
        text=True,
        check=False,
    )
    done.set()
    for asker in askers:
        asker.join()
    assert applied.returncode == 0, applied.stderr
    assert "Can be applied live" in applied.stdout
    assert len(statuses) >= 4
    assert set(statuses) == {200}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=CHAT | {"max_tokens": 1})
    assert answer.headers["x-boute-model"] == last
    assert answer.headers["x-boute-plan"] == "all-to-the-last"
    assert replicas <= {process.pid for process in server.children()}


def test_a_cascade_is_applied_live_and_asks_on(server: Server, plan_file: Path) -> None:
    plan = load_plan(plan_file)
    small, large = plan.routing.models
    cascade = {"policy": "cascade", "thresholds": [0.5], "loads": [1.0, 0.5], "dial": []}
    routing = plan.routing.model_copy(update=cascade | {"fractions": [0.5, 0.5]})
    target = plan_file.parent / "cascade.yaml"
    save_plan(plan.model_copy(update={"routing": routing, "name": "cascade"}), target)
    applied = subprocess.run(
        command("apply", str(target), "--address", server.dashboard),
        capture_output=True,
        text=True,
        check=False,
    )
    assert applied.returncode == 0, applied.stderr
    answers = [
        httpx.post(
            f"{server.url}/v1/chat/completions",
            json=CHAT | {"max_tokens": 2, "stream": number % 2 == 0},
            headers={"x-request-id": f"cascade-{number}"},
            timeout=60,
        )
        for number in range(24)
    ]
    assert {answer.status_code for answer in answers} == {200}
    # The claims of the simulated engine are even: half of them pass.
    by_model = Counter(answer.headers["x-boute-model"] for answer in answers)
    assert set(by_model) == {small, large}
    for answer in answers:
        checked = answer.headers["x-boute-model"] == small
        assert ("x-boute-confidence" in answer.headers) == checked
        assert not checked or float(answer.headers["x-boute-confidence"]) >= 0.5
        assert '"logprob"' not in answer.text
        streamed = answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text.endswith("data: [DONE]\n\n") == streamed
    metrics = httpx.get(f"{server.url}/metrics").text
    told = re.search(
        r'boute_escalation_total\{.*plan="cascade".*reason="unsure".*\} (\S+)', metrics
    )
    assert told is not None
    assert float(told[1]) == by_model[large]


def test_another_fleet_is_refused_with_what_must_be_redeployed(
    server: Server, plan_file: Path
) -> None:
    plan = load_plan(plan_file)
    pools = [plan.pools[0].model_copy(update={"replicas": plan.pools[0].replicas + 1})]
    changed = plan.model_copy(update={"pools": [*pools, *plan.pools[1:]]})
    target = plan_file.parent / "larger.yaml"
    save_plan(changed, target)
    refused = subprocess.run(
        command("apply", str(target), "--address", server.dashboard),
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "Resized" in refused.stdout
    assert "only routing, weights and keys change live" in refused.stderr


def test_it_ends_in_order_and_leaves_no_process(server: Server) -> None:
    """The last test of the module: requests under way are answered, then everything is gone."""
    url = f"{server.url}/v1/chat/completions"
    answers: list[httpx.Response] = []
    asker = threading.Thread(
        target=lambda: answers.append(httpx.post(url, json=CHAT | {"max_tokens": 64}, timeout=120))
    )
    asker.start()
    while "boute_num_requests_running" not in (
        text := httpx.get(f"{server.url}/metrics").text
    ) or not re.search(r"boute_num_requests_running\{[^}]*\} [1-9]", text):
        assert asker.is_alive() or answers
        if answers:
            break
        time.sleep(0.01)
    left = end(server)
    asker.join()
    assert server.process.returncode == 0, server.lines
    assert left == []
    assert answers[0].status_code == 200
    assert json.loads(answers[0].text)["usage"]["completion_tokens"] == 64


def test_a_plan_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        command("serve", str(tmp_path / "none.yaml")), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "none.yaml" in done.stderr


def test_applying_where_nothing_runs_is_one_line(plan_file: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    done = subprocess.run(
        command("apply", str(plan_file), "--address", address),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no Ray cluster answers" in done.stderr.splitlines()[-1]


def test_the_plan_of_the_fixture_routes(plan_file: Path) -> None:
    plan: Plan = load_plan(plan_file)
    assert len(plan.routing.dial) > 2
    assert plan.routing.dial[0].quality < plan.routing.dial[-1].quality
