"""Requests that the fit does not see: as they come in service, and how far off they are predicted.

Lengths are random, arrivals a Poisson process at a share of what the endpoint carries, which is
measured first by keeping it full. Predicting them is the simulator's work, not done here.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.measure.answer import Answer
from boute.measure.endpoint import Endpoint
from boute.measure.experiments import closed_loop, random_shape
from boute.performance.measured import HeldOut

__all__ = ["Burst", "compare", "run_burst"]

LOAD: Final = 0.6
# Requests of each user who fills the endpoint, so that its rate is known.
LOOP_REQUESTS: Final = 5
FEWEST_REQUESTS: Final = 20


@dataclass(frozen=True, eq=False)
class Burst:
    """Answers in the order they were sent, and the rate that they were sent at."""

    answers: tuple[Answer, ...]
    rate_per_s: float

    @property
    def arrival_s(self) -> NDArray[np.float64]:
        """When each was sent [N], from the first."""
        first_s = self.answers[0].sent_s
        return np.array([answer.sent_s - first_s for answer in self.answers])

    @property
    def input_tokens(self) -> NDArray[np.int64]:
        """Tokens of each prompt [N]."""
        return np.array([answer.input_tokens for answer in self.answers])

    @property
    def output_tokens(self) -> NDArray[np.int64]:
        """Tokens of each answer [N]."""
        return np.array([answer.output_tokens for answer in self.answers])


async def run_burst(
    endpoint: Endpoint,
    *,
    concurrency: int,
    longest: int,
    seconds: float,
    random: np.random.Generator,
) -> Burst:
    """Fill the endpoint with `concurrency` requests to learn its rate, then send at 0.6 of it.

    Lengths are those of `random_shape`. It takes about `seconds`, and twenty requests at least are
    sent.
    """
    filling_s = time.perf_counter()
    answers = await closed_loop(endpoint, concurrency, LOOP_REQUESTS, longest, random)
    rate_per_s = LOAD * len(answers) / (time.perf_counter() - filling_s)
    count = max(FEWEST_REQUESTS, round(rate_per_s * seconds))
    gaps_s = random.exponential(1.0 / rate_per_s, size=count)
    shapes = [random_shape(longest, random) for _ in range(count)]
    begin_s = time.perf_counter()
    running = []
    for due_s, shape in zip(np.cumsum(gaps_s) - gaps_s[0], shapes, strict=True):
        await asyncio.sleep(max(0.0, begin_s + float(due_s) - time.perf_counter()))
        running.append(asyncio.ensure_future(endpoint.complete(*shape)))
    answers = await asyncio.gather(*running)
    return Burst(tuple(sorted(answers, key=lambda answer: answer.sent_s)), rate_per_s)


def compare(burst: Burst, ttft_s: NDArray[np.float64], e2e_s: NDArray[np.float64]) -> HeldOut:
    """Errors of the TTFT [N] and E2E [N] that were predicted of a burst."""
    measured_ttft_s = np.array([answer.ttft_s for answer in burst.answers])
    measured_e2e_s = np.array([answer.e2e_s for answer in burst.answers])
    each = np.abs(e2e_s - measured_e2e_s) / measured_e2e_s

    def error(predicted: NDArray[np.float64], measured: NDArray[np.float64], q: float) -> float:
        return _round(np.quantile(predicted, q) / np.quantile(measured, q) - 1.0)

    return HeldOut(
        requests=len(burst.answers),
        rate_per_s=_round(burst.rate_per_s),
        load=LOAD,
        ttft_p50_s=_round(np.median(measured_ttft_s)),
        ttft_p50_error=error(ttft_s, measured_ttft_s, 0.5),
        e2e_p50_s=_round(np.median(measured_e2e_s)),
        e2e_p50_error=error(e2e_s, measured_e2e_s, 0.5),
        e2e_p95_s=_round(np.quantile(measured_e2e_s, 0.95)),
        e2e_p95_error=error(e2e_s, measured_e2e_s, 0.95),
        e2e_request_error=_round(np.median(each)),
    )


def _round(value: float | np.floating) -> float:
    return float(f"{value:.4g}")
