"""From timed batches to the step times of the performance model.

Pure: what was timed goes in as cells, coefficients come out. Non-negative least squares of the
relative errors (Lawson and Hanson, Solving Least Squares Problems, 1974), because steps of a
millisecond and prompts of a second are to be met equally well and no part of a step takes less
than nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boute.errors import ServingError
from boute.least_squares import non_negative
from boute.performance.measured import StepTimes

__all__ = ["Cell", "fit", "prefill_cell"]


@dataclass(frozen=True)
class Cell:
    """A batch, or the mean of many, and the seconds of one stage that it took.

    The numbers are those that `boute.performance.step` counts, of one stage. `steps` is how often
    the floor was paid, `requests` how often a request's own time was.
    """

    steps: float
    tokens: float
    sequences: float
    pairs: float
    context: float
    requests: float
    seconds: float


def prefill_cell(input_tokens: float, ttft_s: float, *, stages: int = 1) -> Cell:
    """A prompt alone: its TTFT is one step through all stages and the request's own time."""
    pairs = input_tokens**2 / 2.0
    return Cell(1.0, input_tokens, 1.0, pairs, 0.0, 1.0 / stages, ttft_s / stages)


def fit(cells: Sequence[Cell]) -> StepTimes:
    """Step times that give the cells with the least sum of squared relative errors.

    At least six cells, of prompts of three lengths, of two concurrencies and of two contexts, tell
    the coefficients apart. Raises ServingError when the cells explain nothing.
    """
    rows = np.array(
        [[c.steps, c.tokens, c.sequences, c.pairs, c.context, c.requests] for c in cells],
        dtype=np.float64,
    )
    rows /= np.array([[cell.seconds] for cell in cells])
    found = [float(f"{value:.6g}") for value in non_negative(rows, np.ones(len(cells)))]
    times = StepTimes(
        floor_s=found[0],
        token_s=found[1],
        sequence_s=found[2],
        pair_s=found[3],
        context_s=found[4],
        request_s=found[5],
    )
    if times.floor_s + times.token_s + times.sequence_s == 0.0:
        raise ServingError(
            "the times of the endpoint grow with nothing that was tried",
            mend="measure for longer, on a machine that does little else",
        )
    return times
