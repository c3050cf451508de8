"""Requests of a trace become known queries: each is given a row of the quality table.

A trace knows when requests come and how long they are; the table knows how well and at what length
each model answers a query. Neither knows the other, so the pairing is random, seeded and balanced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from boute.workload.arrays import Floats, Ints, Trace, Workload

__all__ = ["MAX_RATIO", "longest_possible", "pair", "pair_routed"]

MAX_RATIO: Final = 4.0
"""How much longer or shorter than the family's mean a model's answer may be taken to be.

One answer that ran into its token limit, or one that was cut, would otherwise multiply the length
of a long request beyond anything seen. It binds for 0.7% of the answers of Llama 3.1 8B, 70B and
405B on the 800 CRUXEval queries of the ZeroEval results.
"""

_STREAM: Final = 2
"""Keeps these draws apart from others that a study makes with the same seed."""


def pair(
    trace: Trace,
    models: Sequence[str],
    score: Floats,
    output_tokens: Floats,
    *,
    output_length: Literal["scaled", "table"],
    seed: int,
) -> Workload:
    """Give each of the N requests of `trace` one of the M rows of a quality table.

    `score` [M] is the router's and `output_tokens` [M, K] the lengths of the K models' answers, at
    least 1. Every row is used N / M times, rounded down or up. Output lengths are the table's with
    `table`; with `scaled` they are the trace's, times how much longer than the family's mean the
    model answers that query, within MAX_RATIO either way.
    """
    count, rows = len(trace), len(score)
    if output_tokens.shape != (rows, len(models)):
        raise ValueError("output_tokens has a row for each score and a column for each model")
    row = _rows(count, rows, seed)
    if output_length == "table":
        lengths = output_tokens[row]
    else:
        lengths = trace.output_tokens[:, None] * _ratios(output_tokens)[row]
    return Workload(
        models=tuple(models),
        arrival_s=trace.arrival_s,
        input_tokens=trace.input_tokens,
        output_tokens=np.maximum(np.rint(lengths), 1).astype(np.int64),
        score=score[row],
        row=row,
        duration_s=trace.duration_s,
    )


def pair_routed(
    trace: Trace,
    models: Sequence[str],
    score: Floats,
    output_tokens: Floats,
    chosen: Ints,
    *,
    output_length: Literal["scaled", "table"],
    seed: int,
) -> Workload:
    """`pair` for a trace too long for a column a model, where `chosen` [M] is each row's model.

    All columns of `output_tokens` are one, that of the chosen models.
    """
    row = _rows(len(trace), len(score), seed)
    every = np.arange(len(score))
    if output_length == "table":
        lengths = output_tokens[every, chosen][row]
    else:
        lengths = trace.output_tokens * _ratios(output_tokens)[every, chosen][row]
    tokens = np.maximum(np.rint(lengths), 1).astype(np.int64)
    return Workload(
        models=tuple(models),
        arrival_s=trace.arrival_s,
        input_tokens=trace.input_tokens,
        output_tokens=np.broadcast_to(tokens[:, None], (len(trace), len(models))),
        score=score[row],
        row=row,
        duration_s=trace.duration_s,
    )


def _rows(count: int, rows: int, seed: int) -> Ints:
    """A row of the table for each request [count], every row equally often."""
    rng = np.random.default_rng([_STREAM, seed])
    rounds = -(-count // rows)
    return rng.permuted(np.tile(np.arange(rows), (rounds, 1)), axis=1).ravel()[:count]


def longest_possible(
    trace: Trace, output_tokens: Floats, output_length: Literal["scaled", "table"]
) -> int:
    """Tokens of the longest request that any pairing of a trace with a table can make."""
    if output_length == "table":
        answers: Floats = np.full(len(trace), output_tokens.max())
    else:
        answers = trace.output_tokens * _ratios(output_tokens).max()
    return int(np.max(trace.input_tokens + np.maximum(np.rint(answers), 1.0)))


def _ratios(output_tokens: Floats) -> Floats:
    """How much longer than the family's mean each model answers each query [M, K]."""
    ratio = output_tokens / output_tokens.mean(axis=1, keepdims=True)
    return np.asarray(np.clip(ratio, 1.0 / MAX_RATIO, MAX_RATIO))
