"""Prints what a router costs: microseconds of a request, seconds and memory of training.

python -m benchmarks.router_speed [--kind KIND] [--embedding FOLDER] [--rows 14000]

Texts are random words of a vocabulary of 20,000, no two alike. A query of 1,000 tokens is 500 words
with a number each, which every tokenizer takes apart. Run it with OMP_NUM_THREADS=1: one core.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from boute.routing.router import KINDS, Router
from boute.routing.table import QualityTable
from boute.routing.training import Recipe, fit_router

QUERIES = 2000
BATCH = 64
WORDS_OF_A_ROW = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, default="lexical")
    parser.add_argument("--embedding", type=Path)
    parser.add_argument("--rows", type=int, default=14_000)
    parser.add_argument("--models", type=int, default=2)
    parser.add_argument("--queries", type=int, default=QUERIES)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    table = made_table(arguments.rows, arguments.models, rng)
    before = peak_bytes()
    started, busy = time.perf_counter(), time.process_time()
    recipe = Recipe(arguments.kind, arguments.embedding)
    router = fit_router(table, range(arguments.models), recipe)
    print(f"training on {len(table)} rows, {arguments.models} models, {arguments.kind}")
    print(
        f"  {time.perf_counter() - started:.1f} s, {time.process_time() - busy:.1f} s of CPU time, "
        f"peak {peak_bytes() / 2**30:.2f} GiB ({before / 2**30:.2f} GiB before)"
    )
    with tempfile.TemporaryDirectory() as folder:
        router.save(Path(folder))
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        router = Router.load(Path(folder))
    print(f"  {size / 2**20:.2f} MiB on disk")
    print_requests(router, arguments.queries, rng)


def print_requests(router: Router, count: int, rng: np.random.Generator) -> None:
    texts = [long_text(rng) for _ in range(count)]
    router.score(texts[:50])
    # By the clock, and by the thread's CPU time, which other programs of the machine are not in.
    times = np.empty((count, 2))
    for row, text in enumerate(texts):
        started = (time.perf_counter(), time.thread_time())
        router.score([text])
        times[row] = (time.perf_counter() - started[0], time.thread_time() - started[1])
    for name, column in (("by the clock", 0), ("of CPU time", 1)):
        p50, p99 = np.percentile(1e3 * times[:, column], [50, 99])
        print(f"one query of 1,000 tokens, {name}: P50 {p50:.3f} ms, P99 {p99:.3f} ms")
    for name, queries in (("1,000", texts), ("100", [text[:500] for text in texts])):
        started, busy = time.perf_counter(), time.process_time()
        for start in range(0, len(queries), BATCH):
            router.score(queries[start : start + BATCH])
        rate = len(queries) / (time.perf_counter() - started)
        busy_rate = len(queries) / (time.process_time() - busy)
        print(
            f"batches of {BATCH}, {name} tokens a query: {rate:,.0f} queries a second, "
            f"{busy_rate:,.0f} a second of CPU time"
        )


def made_table(rows: int, models: int, rng: np.random.Generator) -> QualityTable:
    """Queries of which a twentieth of the words are hard, and those that have many fail."""
    words = rng.integers(0, 20_000, (rows, WORDS_OF_A_ROW))
    hard = (words < 1000).mean(axis=1, keepdims=True)
    skill = np.linspace(0.6, 0.9, models)
    return QualityTable(
        name="made",
        models=tuple(f"model-{number}" for number in range(models)),
        quality=(rng.random((rows, models)) < skill - 4 * (hard - 0.05)).astype(np.float64),
        output_tokens=np.exp(rng.normal(5.0, 0.5, (rows, models)) + 5 * hard),
        text=tuple(" ".join(f"w{word}" for word in row) for row in words.tolist()),
    )


def long_text(rng: np.random.Generator) -> str:
    words, numbers = rng.integers(0, 20_000, 500), rng.integers(0, 100, 500)
    return " ".join(f"w{w} {n}" for w, n in zip(words.tolist(), numbers.tolist(), strict=True))


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
