"""The whole loop on this machine: train, measure, plan, serve, replay, compare.

    python examples/tiny/loop.py --out out/tiny [--quick] [--load 0.3 0.5 0.7]

Each step is a command that a user could have typed, and is printed before it runs. Steps whose
results are there already are left out, so a run that was stopped goes on; `--quick` goes through
everything with untrained models and a few requests. The last thing printed is a table of what was
predicted and what was measured at each load; it stays in `predicted_measured.md` and `.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
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
LOADS: Final = (0.3, 0.5, 0.7)
BENCH_REQUESTS: Final = 600


def main() -> None:
    """Go through all steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/tiny"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--load", type=float, nargs="+", default=LOADS)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    spec = written(out / "boute.yaml", spec_of(out))
    if not (out / "trace.csv").exists():
        quick = ["--quick"] if arguments.quick else []
        run([sys.executable, str(HERE / "train.py"), "--out", str(out), *quick])
    if not (out / "measured.yaml").exists():
        for name in MODELS:
            measure(out, name, minutes=0.1 if arguments.quick else 1.0)
    evaluations = 8 if arguments.quick else 48
    boute("optimize", spec, "--out", out / "plans", "--evaluations", evaluations)
    plan = chosen(out / "plans" / "plans")
    requests = 6 if arguments.quick else BENCH_REQUESTS
    traces = slices(out / "trace.csv", len(arguments.load), requests)
    with serving(plan) as url:
        rows = [
            replay(url, plan, load, trace)
            for load, trace in zip(arguments.load, traces, strict=True)
        ]
    (out / "predicted_measured.json").write_text(json.dumps(rows, indent=2) + "\n")
    table = markdown(rows)
    (out / "predicted_measured.md").write_text(table)
    print(table)


def spec_of(out: Path) -> dict[str, Any]:
    """The spec of this folder, as it reads beside what was made."""
    text = SPEC.read_text("utf-8").replace("../../out/tiny/", "")
    card = os.path.relpath(HERE / "cpu-slot.yaml", out)
    spec: dict[str, Any] = yaml.safe_load(text.replace("cpu-slot.yaml", card))
    return spec


def written(path: Path, spec: dict[str, Any]) -> Path:
    """A spec in a file."""
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def measure(out: Path, name: str, *, minutes: float) -> None:
    """Serve one model alone, through the ingress that it will have, and time its steps."""
    family = spec_of(out)
    models = [model for model in family["models"] if model["name"] == name]
    alone = family | {"models": models, "measured": [], "targets": {}}
    spec = written(out / f"{name}-alone.yaml", alone)
    plans = out / f"{name}-alone"
    boute("optimize", spec, "--out", plans, "--sampler", "sobol", "--evaluations", 4)
    plan = chosen(plans / "plans")
    with serving(plan) as url:
        boute(
            *("profile", "measure", url, "--model", name),
            *("--gpu", HERE / "cpu-slot.yaml", "--card", out / "models" / name / "card.yaml"),
            *("--longest", 256, "--minutes", minutes, "--out", out / "measured.yaml"),
        )


def chosen(plans: Path) -> Path:
    """The plan that shares the queries out most evenly, over the most models."""

    def shares(path: Path) -> tuple[int, float]:
        fractions = yaml.safe_load(path.read_text("utf-8"))["routing"]["fractions"]
        taking = [fraction for fraction in fractions if fraction > 0]
        return len(taking), min(taking)

    return max(sorted(plans.glob("plan-*.yaml")), key=shares)


def slices(trace: Path, count: int, requests: int) -> list[Path]:
    """Parts of a trace, one after the other, so that no load sees the queries of another."""
    with trace.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    paths = []
    for number in range(count):
        part = rows[number * requests : (number + 1) * requests]
        paths.append(trace.with_name(f"trace-{number + 1}.csv"))
        with paths[-1].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *part])
    return paths


def replay(url: str, plan: Path, load: float, trace: Path) -> dict[str, Any]:
    """Replay a trace at a share of what the plan's busiest pool carries."""
    utilisation = float(yaml.safe_load(plan.read_text("utf-8"))["predicted"]["utilisation"])
    said = boute(
        *("bench", url, "--plan", plan, "--trace", trace),
        *("--rate-scale", f"{load / utilisation:.4f}", "--warmup", 8),
        *("--check", "last-word", "--max-tokens", 200),
        *("--out", trace.with_suffix(".jsonl"), "--json"),
        captured=True,
    )
    return {"load": load, **json.loads(said)}


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Predicted, measured and the error of each metric, a column a load."""
    shown = [
        f"| {row['load']:.0%} of capacity, {row['request_rate']:.1f} requests/s " for row in rows
    ]
    lines = ["| predicted / measured " + "".join(shown) + "|", "|---" * (len(rows) + 1) + "|"]
    for compared in zip(*(row["comparison"] for row in rows), strict=True):
        cells = []
        for one in compared:
            pair = f"{one['predicted']:.3g} / {one['measured']:.3g}"
            # Of shares and quality the error is in points.
            said = "" if one["error"] is None else f" ({one['error']:+.1%})"
            cells.append(f"| {pair}{said} ")
        lines.append(f"| {compared[0]['metric']} " + "".join(cells) + "|")
    return "\n".join(lines) + "\n"


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
