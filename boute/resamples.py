"""The worlds that might as well have been: a context drawn again from its own trace and table.

Each resample has a trace of blocks of the trace (`boute.workload.resample`), the rows of the
quality table drawn with replacement, its own pairing of the two, and its own draws of pools and
replicas. Number i of a spec is the same for every plan, so that plans are compared on equal luck.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from boute.context import Context
from boute.workload.arrays import Workload
from boute.workload.pairing import pair
from boute.workload.resample import NEAR_S, resample_trace

__all__ = ["Resamples", "resampled"]

_STREAM: Final = 4
"""Keeps these draws apart from others that a study makes with the same seed."""

_KEPT_BYTES: Final = 128 * 2**20
"""What the resamples that are kept may take; the others are drawn anew each time."""


def resampled(context: Context, number: int) -> Context:
    """Resample `number` of a context; the same for the same seed of the workload."""
    source = context.spec.workload
    rng = np.random.default_rng([_STREAM, source.seed, number])
    # The times of a file were divided by rate_scale, and how fast its rate moves with them.
    near_s = NEAR_S / max(source.rate_scale, 1.0)
    trace = resample_trace(context.trace, rng, near_s=near_s)
    rows = rng.integers(len(context.score), size=len(context.score))
    seed = int(rng.integers(2**31))
    workload = pair(
        trace,
        context.model_names,
        context.score[rows],
        context.table.output_tokens[rows],
        output_length=context.spec.quality.output_length,
        seed=seed,
    )
    spec = context.spec.model_copy(update={"workload": source.model_copy(update={"seed": seed})})
    return replace(
        context,
        spec=spec,
        trace=trace,
        workload=_within(replace(workload, row=rows[workload.row]), context.max_model_len),
        quality=context.quality[rows],
        score=context.score[rows],
        drawn=rows,
    )


class Resamples:
    """The resamples of one context by number, the first of them kept while memory allows."""

    def __init__(self, context: Context) -> None:
        self.context = context
        size = len(context.workload) * 8 * (5 + len(context.family)) + 2 * context.quality.nbytes
        self._most = _KEPT_BYTES // size
        self._kept: dict[int, Context] = {}

    def __getitem__(self, number: int) -> Context:
        if number in self._kept:
            return self._kept[number]
        made = resampled(self.context, number)
        if len(self._kept) < self._most:
            self._kept[number] = made
        return made


def _within(workload: Workload, max_model_len: int) -> Workload:
    """The workload with answers cut where another pairing makes a request longer than any was."""
    room = max_model_len - workload.input_tokens[:, None]
    return replace(workload, output_tokens=np.minimum(workload.output_tokens, room))
