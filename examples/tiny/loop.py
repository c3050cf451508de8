"""The whole loop on this machine: train, measure, plan, serve, replay, compare.

    python examples/tiny/loop.py --out out/tiny [--quick] [--load 0.1 0.3 0.5 0.7]

Each step is a command that a user could have typed, and is printed before it runs. Steps whose
results are there already are left out, so a run that was stopped goes on; `--quick` goes through
everything with untrained models and a few requests.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
MODELS: Final = ("small", "medium", "large")
SPEC: Final = HERE / "boute.yaml"
LOADS: Final = (0.1, 0.3, 0.5, 0.7)
BENCH_REQUESTS: Final = 400


def main() -> None:
    """Go through all steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/tiny"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--load", type=float, nargs="+", default=LOADS)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    spec = spec_for(out)
    if not (out / "trace.csv").exists():
        quick = ["--quick"] if arguments.quick else []
        run([sys.executable, str(HERE / "train.py"), "--out", str(out), *quick])
    if not (out / "measured.yaml").exists():
        for name in MODELS:
            measure(out, name, minutes=0.1 if arguments.quick else 1.0)
    evaluations = 8 if arguments.quick else 48
    boute("optimize", spec, "--out", out / "plans", "--evaluations", evaluations)
    plan = chosen(out / "plans" / "plans")
    requests = 20 if arguments.quick else BENCH_REQUESTS
    rows = [replay(out, plan, load, requests) for load in arguments.load]
    (out / "predicted_measured.json").write_text(json.dumps(rows, indent=2) + "\n")


def spec_for(out: Path, **changes: Any) -> Path:
    """The spec of this folder, beside what was made, with parts replaced."""
    text = SPEC.read_text("utf-8").replace("../../out/tiny/", "")
    spec = yaml.safe_load(
        text.replace("cpu-core.yaml", os.path.relpath(HERE / "cpu-core.yaml", out))
    )
    path = out / f"{changes.pop('file', 'boute')}.yaml"
    path.write_text(yaml.safe_dump(spec | changes, sort_keys=False))
    return path


def measure(out: Path, name: str, *, minutes: float) -> None:
    """Serve one model alone, through the ingress that it will have, and time its steps."""
    models = [m for m in yaml.safe_load(SPEC.read_text("utf-8"))["models"] if m["name"] == name]
    alone = json.loads(json.dumps(models).replace("../../out/tiny/", ""))
    spec = spec_for(out, file=f"{name}-alone", models=alone, measured=[], targets={})
    plans = out / f"{name}-alone"
    boute("optimize", spec, "--out", plans, "--sampler", "sobol", "--evaluations", 4)
    plan = chosen(plans / "plans")
    with serving(plan) as url:
        boute(
            *("profile", "measure", url, "--model", name),
            *("--gpu", HERE / "cpu-core.yaml", "--card", out / "models" / name / "card.yaml"),
            *("--longest", 256, "--minutes", minutes, "--out", out / "measured.yaml"),
        )


def chosen(plans: Path) -> Path:
    """The plan that shares the queries out most evenly, over the most models."""

    def shares(path: Path) -> tuple[int, float]:
        fractions = yaml.safe_load(path.read_text("utf-8"))["routing"]["fractions"]
        taking = [fraction for fraction in fractions if fraction > 0]
        return len(taking), min(taking)

    return max(sorted(plans.glob("plan-*.yaml")), key=shares)


def replay(out: Path, plan: Path, load: float, requests: int) -> dict[str, Any]:
    """Serve a plan and replay the trace at a share of what its busiest pool carries."""
    utilisation = float(yaml.safe_load(plan.read_text("utf-8"))["predicted"]["utilisation"])
    with serving(plan) as url:
        said = boute(
            *("bench", url, "--plan", plan, "--rate-scale", f"{load / utilisation:.4f}"),
            *(
                "--max-requests",
                requests,
                "--warmup",
                8,
                "--check",
                "last-word",
                "--max-tokens",
                200,
            ),
            *("--out", out / f"replay-{load:g}.jsonl", "--json"),
            captured=True,
        )
    return {"load": load, **json.loads(said)}


@contextlib.contextmanager
def serving(plan: Path) -> Iterator[str]:
    """`boute serve` until the block ends; its URL."""
    port = free_port()
    command = [sys.executable, "-m", "boute", "serve", str(plan), "--port", str(port)]
    print("$", shlex.join(["boute", *command[3:]]), flush=True)
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            print(line.rstrip(), flush=True)
            if found := re.search(r"^serving \S+ at (http://\S+)/v1 ", line):
                # Read on, or the server stops when the pipe is full.
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield found[1]
                break
        else:
            raise SystemExit("the server did not come up")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)


def boute(*words: object, captured: bool = False) -> str:
    """A verb of boute; what it printed when `captured`."""
    command = [sys.executable, "-m", "boute", *map(str, words)]
    return run(command, captured=captured)


def run(command: Sequence[str], *, captured: bool = False) -> str:
    """Run a command, shown first; what it printed when `captured`."""
    shown = ["boute", *command[3:]] if command[1] == "-m" else ["python", *command[1:]]
    print("$", shlex.join(shown), flush=True)
    pipe = subprocess.PIPE if captured else None
    done = subprocess.run(command, env=environment(), stdout=pipe, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout or ""


def environment() -> dict[str, str]:
    """One thread for each process: cores are what is shared out here."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    main()
