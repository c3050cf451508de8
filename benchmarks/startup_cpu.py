"""Starts of vLLM's CPU server, measured: ten models, eager and compiled, cold and warm caches.

    python -m benchmarks.startup_cpu --out out/startup [--minutes 4.5]

Every start leaves its log, each line with the time at which it came, and a file that says what was
started. Those that are there are not run again, so that the whole, about forty minutes, can be done
in parts on a machine that does nothing else meanwhile; a start during which others took processor
time is left for the next part. At the end come the fit of all that is there and the leave-one-out
error.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.startup_models import SHAPES, Shape, make_model, parameters_of
from boute.deployments.engines.arguments import command_line, engine_env, vllm_arguments
from boute.deployments.engines.settings import EngineSettings
from boute.documents import dump_yaml
from boute.files import write_text
from boute.spec.family import ServedBy
from boute.spec.model import Engine
from boute.startup.fit import MeasuredStart, fit_starts
from boute.startup.model import StartupFit
from boute.startup.starts import read_starts

READY = "Application startup complete."
END_S = 20.0
# Others may use so much processor time while a start is measured.
OTHERS_S = 2.0
TICKS = os.sysconf("SC_CLK_TCK")
# As boute.startup.model counts them: a GPT-2 has neither rotary embeddings nor gates.
LAYER_OPERATIONS = {"llama": 10, "qwen2": 10, "gpt2": 7}


@dataclass(frozen=True)
class Run:
    """One start. Cold and warm runs of one `round` share a cache folder, the cold one first."""

    shape: Shape
    mode: Literal["eager", "compiled"]
    cache: Literal["cold", "warm"]
    round: int
    repeat: int = 0

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.shape.name}.{self.mode}.{self.cache}.{self.round}{self.repeat}"


def runs() -> Iterator[Run]:
    """All starts, model after model in each round, so that a slow hour spoils no one model."""
    rounds: list[tuple[Literal["eager", "compiled"], Literal["cold", "warm"], int, int]] = [
        ("compiled", "cold", 0, 0),
        ("compiled", "warm", 0, 0),
        ("eager", "cold", 0, 0),
        ("eager", "warm", 0, 0),
        ("compiled", "warm", 0, 1),
        ("eager", "warm", 0, 1),
        ("compiled", "cold", 1, 0),
    ]
    for mode, cache, number, repeat in rounds:
        for shape in SHAPES:
            yield Run(shape, mode, cache, number, repeat)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/startup"))
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after about so long")
    arguments = parser.parse_args()
    out: Path = arguments.out.absolute()
    if not measure(out, 60.0 * arguments.minutes):
        print("there is more to start: run the command again")
    report(out)


def measure(out: Path, limit_s: float) -> bool:
    """Start what has not been started yet; whether nothing is left to do again."""
    end_s, done = time.monotonic() + limit_s, True
    for run in runs():
        log = out / "logs" / f"{run.name}.log"
        if log.exists():
            continue
        if time.monotonic() > end_s:
            return False
        folder = out / "models" / run.shape.name
        make_model(run.shape, folder)
        done = start(run, folder, out, log) and done
    return done


def report(out: Path) -> None:
    """Write beside each log what was started, and fit what is there; print both for the page."""
    device = f"{_processor()}, {os.cpu_count()} cores"
    for run in runs():
        log = out / "logs" / f"{run.name}.log"
        if log.exists():
            data = _started(run, out / "models" / run.shape.name, device)
            write_text(log.with_suffix(".yaml"), dump_yaml(data))
    starts = read_starts([out / "logs"])
    fit = fit_starts(starts, source="python -m benchmarks.startup_cpu")
    write_text(out / "fit.yaml", dump_yaml(fit.model_dump(mode="json", exclude_none=True)))
    print_table(starts)
    print_fit(fit)


def print_table(starts: Sequence[MeasuredStart]) -> None:
    """Medians over the repeats of each model, mode and cache, as a Markdown table."""
    print("| model | parameters | layers | eager, cold | warm | compiled, cold | warm |")
    print("|---|---|---|---|---|---|---|")
    for shape in SHAPES:
        own = [start for start in starts if start.model == shape.name]
        if not own:
            continue
        cells = []
        for eager in (True, False):
            for cache in ("cold", "warm"):
                totals = [
                    start.total_s
                    for start in own
                    if start.features.eager == eager and start.features.cache == cache
                ]
                cells.append(f"{statistics.median(totals):.1f}" if totals else "-")
        size = f"{own[0].features.parameters / 1e6:.1f}M | {shape.layers}"
        print(f"| {shape.name} | {size} | {' | '.join(cells)} |")


def print_fit(fit: StartupFit) -> None:
    """The terms of each step, and how far off the whole is for a model that was left out."""
    print("\n| step | seconds | residual |")
    print("|---|---|---|")
    for name, step in fit.steps.items():
        terms = " + ".join(f"{seconds:.3g} {term}" for term, seconds in step.terms.items())
        left = "" if step.residual_s is None else f"{step.residual_s:.2f}"
        print(f"| {name} | {terms or '0'} | {left} |")
    assert fit.left_out is not None
    print(
        f"\n{fit.starts} starts of {fit.models} models; leave-one-out: mean error "
        f"{fit.left_out.mean_error:.1%}, worst {fit.left_out.worst_error:.1%} "
        f"({fit.left_out.worst_start})"
    )


def _started(run: Run, folder: Path, device: str) -> dict[str, object]:
    sizes = {
        "weights_bytes": sum(file.stat().st_size for file in folder.glob("*.safetensors")),
        "parameters": parameters_of(folder),
        "layers": run.shape.layers,
        "layer_operations": LAYER_OPERATIONS[run.shape.family],
        "tokenizer_bytes": (folder / "tokenizer.json").stat().st_size,
    }
    return {"model": run.shape.name, "device": device, "cache": run.cache, "sizes": sizes}


def _processor() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith("model name")).split(": ")[1]
    return platform.processor() or platform.machine()


def start(run: Run, folder: Path, out: Path, log: Path) -> bool:
    """Start the server, keep its log, end it; False, without a log, when others took time."""
    caches = out / "caches" / f"{run.shape.name}.{run.mode}.{run.round}"
    if run.cache == "cold":
        shutil.rmtree(caches, ignore_errors=True)
    words, environment = _command(run, folder, caches)
    partial = log.with_suffix(".partial")
    log.parent.mkdir(parents=True, exist_ok=True)
    begin_s, busy_s = time.monotonic(), _busy_s()
    with partial.open("w") as file:
        file.write(f"{_now()} + {' '.join(words)}\n")
        with serving(words, environment) as server:
            assert server.stdout is not None
            for line in server.stdout:
                file.write(f"{_now()} {line}")
                seconds = time.monotonic() - begin_s
                others_s = _busy_s() - busy_s - _session_s(server.pid)
                if others_s > OTHERS_S:
                    print(
                        f"{run.name}: others took {others_s:.1f} s of {seconds:.1f} s", flush=True
                    )
                    return False
                if READY in line:
                    break
            else:
                raise SystemExit(f"{run.name}: the server ended; see {partial}")
    partial.rename(log)
    print(f"{run.name}: {seconds:.1f} s, others {others_s:.1f} s", flush=True)
    return True


def _busy_s() -> float:
    """Processor seconds of this machine since it started, idle and waiting left out."""
    user, nice, system, _, _, irq, softirq = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / TICKS


def _session_s(session: int) -> float:
    """Processor seconds of the processes of a session, ended children of theirs included."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = file.read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session:
                ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


@contextlib.contextmanager
def serving(words: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A server whose output can be read while it runs; it ends with the block."""
    with subprocess.Popen(
        words,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as server:
        try:
            yield server
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(END_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


def _command(run: Run, folder: Path, caches: Path) -> tuple[list[str], dict[str, str]]:
    """What starts the server, as boute itself does it, and its environment."""
    settings = EngineSettings(
        pool=run.shape.name,
        model=run.shape.name,
        served_by=ServedBy(engine="vllm-process", args={"enforce_eager": run.mode == "eager"}),
        vllm=Engine(max_num_seqs=32, max_num_batched_tokens=512, block_size=32),
        weights_from=str(folder),
        weights="bf16",
        kv_cache="bf16",
        device="cpu",
        accelerator_type=None,
        tensor_parallel=1,
        pipeline_parallel=1,
        max_model_len=512,
    )
    own = {
        "VLLM_CACHE_ROOT": str(caches / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
    }
    arguments = vllm_arguments(settings) | {"host": "127.0.0.1", "port": 0}
    server = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    return [*server, *command_line(arguments)], os.environ | engine_env(settings) | own


def _now() -> str:
    """The time as container runtimes write it before each line of a log."""
    return datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    main()
