"""What is sent to an endpoint so that the parts of a step can be told apart, and what it shows.

Prompts alone, of several lengths; sequences that start and decode together; and users who each send
the next request when the last is answered, with random lengths, so that prompts fall between the
decodes of others. Each experiment is repeated in rounds, in another order each, so that a machine
that gets slower or faster meanwhile does so to all of them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Final

import numpy as np

from boute.errors import ServingError
from boute.measure.answer import Answer
from boute.measure.batches import mean_step
from boute.measure.endpoint import Endpoint
from boute.measure.fit import Cell, prefill_cell

__all__ = [
    "Experiment",
    "Observed",
    "cells_of",
    "closed_loop",
    "plan_experiments",
    "random_shape",
    "run_rounds",
]

FEWEST_ROUNDS: Final = 3
# Tokens of an answer to a prompt whose TTFT is wanted: an engine that goes on is what prompts meet.
PREFILL_OUTPUT: Final = 4
# Requests of each user in a closed loop.
LOOP_REQUESTS: Final = 3
SHORTEST: Final = 64
"""Tokens of a request below which its parts cannot be told apart."""


@dataclass(frozen=True)
class Experiment:
    """`concurrency` requests of one shape sent at once; without a shape, users in a closed loop."""

    concurrency: int
    shape: tuple[int, int] | None = None


@dataclass
class Observed:
    """What the rounds of one experiment showed: TTFT and inputs of all, and a mean step a round."""

    inputs: list[float] = field(default_factory=list)
    ttfts_s: list[float] = field(default_factory=list)
    steps: list[Cell] = field(default_factory=list)


def plan_experiments(
    concurrency: Sequence[int], longest: int, kv_tokens: int | None
) -> list[Experiment]:
    """Experiments with requests of up to `longest` tokens, at least 64, in all.

    Those that would not fit into `kv_tokens` together are left out. Raises ServingError when fewer
    than two concurrencies remain, which could not tell a step from a sequence.
    """
    output = longest // 4
    short, long = longest // 16, longest - output
    sizes = sorted({1, *concurrency})
    together = [Experiment(size, (short, output)) for size in sizes]
    # Long contexts are told from many sequences by one alone and by several.
    together += [Experiment(size, (long, output)) for size in (1, sizes[len(sizes) // 2])]
    together += [Experiment(size) for size in sizes if size > 1]
    room = math.inf if kv_tokens is None else kv_tokens
    fitting = [e for e in together if e.concurrency * sum(e.shape or (longest,)) <= room]
    if len({experiment.concurrency for experiment in fitting}) < 2:
        raise ServingError(
            f"room for {kv_tokens} tokens of KV cache is too little for {sizes} requests at a time",
            mend="lower --longest, or give other numbers with --concurrency",
        )
    alone = [Experiment(1, (longest * part // 16, PREFILL_OUTPUT)) for part in (1, 2, 4, 8, 12)]
    return list(dict.fromkeys([*alone, *fitting]))


def random_shape(longest: int, random: np.random.Generator) -> tuple[int, int]:
    """Input of up to half of `longest` tokens, output of up to a quarter; evenly spread."""
    inputs = random.integers(longest // 16, longest // 2, endpoint=True)
    outputs = random.integers(longest // 16, longest // 4, endpoint=True)
    return int(inputs), int(outputs)


async def closed_loop(
    endpoint: Endpoint, users: int, requests: int, longest: int, random: np.random.Generator
) -> list[Answer]:
    """The answers to `users` who send `requests` of random shapes each, one after the other."""

    async def user(shapes: Sequence[tuple[int, int]]) -> list[Answer]:
        return [await endpoint.complete(*shape) for shape in shapes]

    asked = [[random_shape(longest, random) for _ in range(requests)] for _ in range(users)]
    return [answer for answers in await asyncio.gather(*map(user, asked)) for answer in answers]


async def run_rounds(
    endpoint: Endpoint,
    experiments: Sequence[Experiment],
    *,
    longest: int,
    seconds: float,
    stages: int,
    random: np.random.Generator,
    tell: Callable[[str], None],
) -> tuple[dict[Experiment, Observed], int]:
    """Repeat the experiments for about `seconds`, at least three rounds; return what was seen.

    The second value is the number of rounds.
    """
    found = {experiment: Observed() for experiment in experiments}
    begin_s = time.perf_counter()
    rounds = 0
    while rounds < FEWEST_ROUNDS or time.perf_counter() - begin_s < seconds:
        for place in random.permutation(len(experiments)):
            experiment = experiments[place]
            if experiment.shape is not None:
                answers = await endpoint.together(experiment.concurrency, *experiment.shape)
            else:
                size = experiment.concurrency
                answers = await closed_loop(endpoint, size, LOOP_REQUESTS, longest, random)
            seen = found[experiment]
            seen.inputs += [answer.input_tokens for answer in answers]
            seen.ttfts_s += [answer.ttft_s for answer in answers]
            step = mean_step(answers, stages=stages)
            seen.steps += [step] if step is not None else []
        rounds += 1
        tell(f"round {rounds}, {time.perf_counter() - begin_s:.0f} s")
    return found, rounds


def cells_of(found: dict[Experiment, Observed], *, stages: int) -> list[Cell]:
    """Each experiment as cells for the fit: mean counts and median time over the rounds."""
    cells = []
    for experiment, seen in found.items():
        if experiment.concurrency == 1:
            ttft_s = float(np.median(seen.ttfts_s))
            cells.append(prefill_cell(float(np.mean(seen.inputs)), ttft_s, stages=stages))
        # A prompt that is followed by a few tokens says little about a step.
        if seen.steps and (experiment.shape is None or experiment.shape[1] > PREFILL_OUTPUT):
            means = np.mean([astuple(step) for step in seen.steps], axis=0)
            median_s = float(np.median([step.seconds for step in seen.steps]))
            cells.append(replace(Cell(*map(float, means)), seconds=median_s))
    return cells
