"""What one replica does at a steady Poisson rate: a formula for the offline table and first looks.

Mean-value analysis with token moments, microseconds a call. It knows nothing of bursts, and of
the spread of lengths only what the given moments say; the simulator is the judge. Notation, for a
rate r and b sequences decoding at a time:

    d(b)   seconds between two tokens of a sequence when nothing else runs
    p(b)   seconds that the prompt of one request adds to the steps of others
    TPOT   d(1 + b) / (1 - r p)        an arrival sees b others; prompts take the share r p
    b      r (output - 1) TPOT         Little's law
    r_max  the rate at which b reaches what KV cache and max_num_seqs allow

With pipeline stages d is a round of all of them, longer by the bubbles of batches that are uneven.

TTFT is half a step and, scheduled ahead, one more, the queue behind other prompts (M/D/1), the
queue for a place in the batch (Sakasegawa's M/M/c, Annals of the Institute of Statistical
Mathematics 29, 1977) and the prompt's own steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.compiled import kernel
from boute.performance.replica import Replica
from boute.performance.step import CONTEXT_S, MIXED_CONTEXT_S, PAIR_S, step_fixed_s

__all__ = ["Lengths", "Steady", "capacity", "latency_at"]

BISECTIONS: Final = 40
Limits = tuple[float, float, float, float, float]
Moments = tuple[float, float, float, float]


@dataclass(frozen=True)
class Lengths:
    """Token moments of the requests.

    `input_square` is the mean of squared inputs, `context` the mean cache length that a decode
    reads, weighted by decodes: E[(input + output / 2) output] / E[output]. Both default to what
    they are when every request is the mean one.
    """

    input_tokens: float
    output_tokens: float
    input_square: float | None = None
    context: float | None = None

    def moments(self) -> Moments:
        """Input, output, squared input and context, with the defaults filled in."""
        square = self.input_tokens**2 if self.input_square is None else self.input_square
        plain = self.input_tokens + self.output_tokens / 2
        context = plain if self.context is None else self.context
        return float(self.input_tokens), float(self.output_tokens), float(square), float(context)


@dataclass(frozen=True)
class Steady:
    """Means in a steady state.

    `tokens_per_s` counts output tokens, `running` is the sequences in the batch, `kv_use` the share
    of the KV cache that they hold, `load` the rate over the highest one that can be sustained.
    """

    ttft_s: float
    tpot_s: float
    tokens_per_s: float
    requests_per_s: float
    running: float
    kv_use: float
    load: float


def capacity(replica: Replica, lengths: Lengths) -> float:
    """Highest rate that the replica sustains, in requests per second."""
    return float(_capacity(replica.costs, _limits(replica, lengths), lengths.moments()))


def latency_at(replica: Replica, rate_per_s: float, lengths: Lengths) -> Steady:
    """Steady state at a Poisson rate; TTFT is infinite from the capacity on.

    It has what a request pays around the engine in it.
    """
    moments = lengths.moments()
    limits = _limits(replica, lengths)
    ttft_s, tpot_s, running, load = _latency(replica.costs, limits, moments, float(rate_per_s))
    served = rate_per_s / max(load, 1.0)
    held = running * moments[3] / (replica.kv_blocks * replica.block_size)
    return Steady(
        ttft_s=ttft_s + replica.request_s,
        tpot_s=tpot_s,
        tokens_per_s=served * lengths.output_tokens,
        requests_per_s=served,
        running=running,
        kv_use=min(1.0, held),
        load=load,
    )


def _limits(replica: Replica, lengths: Lengths) -> Limits:
    """Stages, tokens a step, sequences at once by KV cache and max_num_seqs, steps ahead, fullest.

    The last is by how many standard deviations the fullest of the batches in flight is fuller than
    the mean.
    """
    cached = replica.kv_blocks * replica.block_size / lengths.moments()[3]
    places = max(1.0, min(float(replica.max_num_seqs), cached))
    ahead = 1.0 if replica.async_scheduling and replica.stages == 1 else 0.0
    fullest = _largest_of(replica.stages)
    return float(replica.stages), float(replica.max_num_batched_tokens), places, ahead, fullest


@cache
def _largest_of(count: int) -> float:
    """Expected largest of `count` standard normals, by Blom's approximation (1958)."""
    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25))


@kernel
def _decode_s(costs: NDArray[np.float64], stages: float, batch: float, context: float) -> float:
    """Seconds from token to token for `batch` sequences, spread over the stages in flight."""
    each = batch / min(stages, batch)
    return float(stages * (step_fixed_s(costs, each, each) + costs[CONTEXT_S] * each * context))


@kernel
def _prompt_s(
    costs: NDArray[np.float64], limits: Limits, moments: Moments, batch: float
) -> tuple[float, float]:
    """Seconds that a prompt adds to one stage, and seconds that it takes itself from its start."""
    stages, budget, _, _, _ = limits
    input_tokens, _, input_square, context = moments
    decodes = batch / min(stages, max(batch, 1.0))
    room = max(1.0, budget - decodes)
    chunk = min(input_tokens, room)
    chunks = math.ceil(input_tokens / room)
    pairs_s = costs[PAIR_S] * input_square / 2.0
    mixed_s = step_fixed_s(costs, decodes + chunk, decodes + 1.0)
    among_s = mixed_s - step_fixed_s(costs, max(decodes, 1.0), max(decodes, 1.0))
    # Experts that decodes read anyway make a prompt cheaper. That relief is left out, so that more
    # load never looks faster.
    first_s = step_fixed_s(costs, 1.0 + chunk, 2.0) - step_fixed_s(costs, 1.0, 1.0)
    mixed_context_s = costs[MIXED_CONTEXT_S] * decodes * context
    added_s = input_tokens / chunk * (max(among_s, first_s) + mixed_context_s) + pairs_s
    step_s = mixed_s + costs[CONTEXT_S] * decodes * context + mixed_context_s + pairs_s / chunks
    return added_s, (stages + chunks - 1.0) * step_s


@kernel
def _bubble_s(limits: Limits, moments: Moments, prompts: float, added_s: float) -> float:
    """Seconds by which uneven batches prolong a round of all stages that brings `prompts` prompts.

    The batches in flight follow one another, so that the one with the most prompts sets the pace of
    all: a round takes `stages` times the longest of them. Few prompts come one at a time, and each
    costs its own step of every stage; of many the fullest batch has some standard deviations of a
    sum of prompts more than the mean. Between the two it is less than either, and
    no step has more than the token budget.
    """
    stages, budget, _, _, fullest = limits
    if stages == 1.0 or prompts <= 0.0:
        return 0.0
    input_tokens, _, input_square, _ = moments
    mean = prompts / stages
    few = (stages - 1.0) * mean
    many = fullest * math.sqrt(mean * input_square) / input_tokens
    most = max(budget / input_tokens - mean, 0.0)
    return float(stages * added_s * min(few * many / math.hypot(few, many), most))


@kernel
def _capacity(costs: NDArray[np.float64], limits: Limits, moments: Moments) -> float:
    stages, budget, places, _, _ = limits
    input_tokens, output_tokens, input_square, context = moments
    decodes = max(0.0, output_tokens - 1.0)
    added_s, _ = _prompt_s(costs, limits, moments, places)
    step_s = _decode_s(costs, stages, places, context)
    step_s += _bubble_s(limits, moments, places / max(decodes, 1.0), added_s)
    shared = places / (decodes * step_s + places * added_s)
    # Prompts alone, in steps filled to the token budget.
    full_s = step_fixed_s(costs, budget, max(1.0, budget / input_tokens))
    prompt_s = full_s * input_tokens / budget + costs[PAIR_S] * input_square / 2.0
    return float(min(shared, 1.0 / prompt_s))


@kernel
def _latency(
    costs: NDArray[np.float64], limits: Limits, moments: Moments, rate: float
) -> tuple[float, float, float, float]:
    """TTFT, TPOT, sequences decoding and load; TTFT is infinite at a load of one and more."""
    stages, _, places, ahead, _ = limits
    _, output_tokens, _, context = moments
    decodes = max(0.0, output_tokens - 1.0)
    highest = _capacity(costs, limits, moments)
    load = rate / highest
    served = min(rate, highest)
    low, batch = 0.0, places
    for _ in range(BISECTIONS):
        middle = (low + batch) / 2.0
        added_s, _ = _prompt_s(costs, limits, moments, middle)
        step_s = _decode_s(costs, stages, min(places, 1.0 + middle), context)
        step_s += _bubble_s(limits, moments, middle / max(decodes, 1.0), added_s)
        if served * decodes * step_s > middle * max(1.0 - served * added_s, 1e-3):
            low = middle
        else:
            batch = middle
    added_s, own_s = _prompt_s(costs, limits, moments, batch)
    step_s = _decode_s(costs, stages, min(places, 1.0 + batch), context)
    free = max(1.0 - served * added_s, 1e-3)
    tpot_s = (step_s + _bubble_s(limits, moments, batch / max(decodes, 1.0), added_s)) / free
    if load >= 1.0:
        return math.inf, tpot_s, batch, load
    # Half of a step on average, if one runs; scheduled ahead, all of the next one too.
    running_s = (1.0 - math.exp(-batch)) * step_s / stages * (0.5 + ahead)
    prompts_s = (1.0 - free) / free * own_s / 2.0
    held_s = decodes * tpot_s + own_s
    place_s = load ** (math.sqrt(2.0 * (places + 1.0)) - 1.0) / (places * (1.0 - load)) * held_s
    return running_s + prompts_s + place_s + own_s, tpot_s, batch, load
