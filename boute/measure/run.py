"""The whole measurement of one endpoint: rounds of experiments, the fit, and a burst held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.errors import InputError
from boute.measure.endpoint import connect
from boute.measure.experiments import SHORTEST, cells_of, plan_experiments, run_rounds
from boute.measure.fit import fit
from boute.measure.held_out import Burst, run_burst
from boute.performance.measured import Conditions, StepTimes

__all__ = ["Measurement", "Target", "measure"]

# Longer requests are left out unless asked for: they take long and tell no more.
LONGEST: Final = 2048
# The part of the time that the requests which are held out get.
HELD_OUT: Final = 1.0 / 3.0


@dataclass(frozen=True)
class Target:
    """What is measured: a model behind an endpoint.

    `stages` is its pipeline parallelism. `longest` and `kv_tokens` are asked of the endpoint where
    they are None.
    """

    url: str
    model: str
    vocab_size: int
    stages: int = 1
    api_key: str | None = None
    longest: int | None = None
    kv_tokens: int | None = None


@dataclass(frozen=True, eq=False)
class Measurement:
    """What came of it. `kv_tokens` and `engine` are None where the endpoint does not tell them."""

    times: StepTimes
    kv_tokens: int | None
    engine: str | None
    conditions: Conditions
    burst: Burst


async def measure(
    target: Target,
    *,
    concurrency: list[int],
    seconds: float,
    seed: int,
    tell: Callable[[str], None],
) -> Measurement:
    """Measure for about `seconds`; `tell` gets a line on each part.

    Raises InputError for a wrong model, key or number and ServingError for an endpoint that is not
    there, refuses, or tells no usage.
    """
    random = np.random.default_rng(seed)
    async with connect(
        target.url,
        target.model,
        vocab_size=target.vocab_size,
        api_key=target.api_key,
        seed=seed,
    ) as endpoint:
        longest = _longest(target.longest, endpoint.max_model_len)
        kv_tokens = target.kv_tokens or endpoint.kv_tokens
        experiments = plan_experiments(concurrency, longest, kv_tokens)
        largest = max(experiment.concurrency for experiment in experiments)
        # What engines do once at their first steps is no part of any.
        await endpoint.together(largest, longest // 4, longest // 8)
        found, rounds = await run_rounds(
            endpoint,
            experiments,
            longest=longest,
            seconds=seconds * (1.0 - HELD_OUT),
            stages=target.stages,
            random=random,
            tell=tell,
        )
        times = fit(cells_of(found, stages=target.stages))
        tell("requests that the fit does not see")
        burst = await run_burst(
            endpoint,
            concurrency=largest,
            longest=longest,
            seconds=seconds * HELD_OUT,
            random=random,
        )
    conditions = Conditions(
        requests=sum(len(seen.ttfts_s) for seen in found.values()),
        concurrency=sorted({experiment.concurrency for experiment in experiments}),
        longest_tokens=longest,
        rounds=rounds,
        seed=seed,
    )
    return Measurement(times, kv_tokens, endpoint.engine, conditions, burst)


def _longest(asked: int | None, max_model_len: int | None) -> int:
    if asked is not None and max_model_len is not None and asked > max_model_len:
        raise InputError(
            f"is {asked} tokens, the endpoint takes {max_model_len}",
            where="--longest",
            mend="lower it",
        )
    longest = asked or min(max_model_len or LONGEST, LONGEST)
    if longest < SHORTEST:
        raise InputError(
            f"requests of {longest} tokens are too short to tell their parts apart",
            where="--longest",
            mend=f"allow at least {SHORTEST}",
        )
    return longest
