"""The time and energy of one engine step, as a flat record that compiled code can read.

A step of vLLM V1 runs a batch of decodes (one token each) and prefill chunks together. Its cost
depends on four numbers: `tokens` in the batch, `sequences` that sample a token, `pairs` of query
and key that prefill attention computes, and `context` tokens whose KV cache decodes read. At a
fixed composition it is affine in `context`, which is what lets the simulator run a stretch of
equal decode steps in closed form:

    seconds = step_fixed_s(costs, tokens, sequences) + costs[PAIR_S] * pairs
              + costs[CONTEXT_S] * context

and likewise for joules; where prompts are computed a token of context takes MIXED_CONTEXT_S more.
`costs` is one float64 array [N_COSTS] for one pipeline stage, made by
`boute.performance.build`; a batch passes every stage of the replica. Matrix multiplications follow
a roofline with a rounded knee: between the time of the arithmetic and the time of reading the
weights stands their 4-norm, which is 19% above either where the two are equal. All-reduces take
another kernel from a number of tokens on, twice at most. Where the engine schedules ahead, a step
lasts at least as long as the host needs to prepare the next.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.compiled import kernel

__all__ = [
    "BUSY_W",
    "CONTEXT_J",
    "CONTEXT_S",
    "EXPERT_LOG_MISS",
    "EXPERT_TOKEN_S",
    "EXPERT_WEIGHT_S",
    "FLOOR_S",
    "HEAD_SEQUENCE_S",
    "HEAD_WEIGHT_S",
    "HOST_S",
    "HOST_SEQUENCE_S",
    "LINEAR_TOKEN_S",
    "LINK_A_S",
    "LINK_A_TOKENS",
    "LINK_A_TOKEN_S",
    "LINK_B_S",
    "LINK_B_TOKENS",
    "LINK_B_TOKEN_S",
    "MIXED_CONTEXT_S",
    "MIXED_S",
    "N_COSTS",
    "PAIR_J",
    "PAIR_S",
    "SEQUENCE_J",
    "SEQUENCE_S",
    "TOKEN_J",
    "TOKEN_S",
    "WEIGHT_S",
    "step_fixed_j",
    "step_fixed_s",
]

TOKEN_S: Final = 0  # arithmetic of one token in the layers' matrices, experts left out
WEIGHT_S: Final = 1  # reading those matrices once
EXPERT_TOKEN_S: Final = 2  # arithmetic of one token in the experts that it is sent to
EXPERT_WEIGHT_S: Final = 3  # reading every expert once; 0 for a dense model
EXPERT_LOG_MISS: Final = 4  # log of the chance that one token leaves a given expert out
HEAD_SEQUENCE_S: Final = 5  # arithmetic of the output head for one sampled token
HEAD_WEIGHT_S: Final = 6  # reading the output head once
LINEAR_TOKEN_S: Final = 7  # activations, all-reduce and hand-over: whatever grows by the token
SEQUENCE_S: Final = 8  # sampling and bookkeeping of one sequence
FLOOR_S: Final = 9  # launches, the latency of collectives, a waiting host: paid by every step
PAIR_S: Final = 10  # one query-key pair of prefill attention, all layers of the stage
CONTEXT_S: Final = 11  # reading the KV cache of one token, all layers of the stage
PAIR_J: Final = 12
CONTEXT_J: Final = 13
BUSY_W: Final = 14  # power above idle while the GPUs of the stage move bytes
TOKEN_J: Final = 15  # what the arithmetic of a token draws beyond that
SEQUENCE_J: Final = 16  # the same for the output head
LINK_A_TOKENS: Final = 17  # beyond so many tokens all-reduces take another kernel; 0 for never,
LINK_A_S: Final = 18  # which adds this to the floor
LINK_A_TOKEN_S: Final = 19  # and this to every token
LINK_B_TOKENS: Final = 20  # and beyond these a third, counted from the second
LINK_B_S: Final = 21
LINK_B_TOKEN_S: Final = 22
HOST_S: Final = 23  # what the host needs for a step while the step before runs, at the least
HOST_SEQUENCE_S: Final = 24  # and for every sequence in it
MIXED_CONTEXT_S: Final = 25  # what reading the cache costs more in a step that computes prompts too
MIXED_S: Final = 26  # there, for every sequence and token of a prompt: attention's tiles left empty
N_COSTS: Final = 27


@kernel
def step_fixed_s(costs: NDArray[np.float64], tokens: float, sequences: float) -> float:
    """Seconds of one stage of one step, without what grows with pairs and context.

    `costs` [N_COSTS]; `tokens` > 0 in the batch, `sequences` of them sample a token.
    """
    host_s = costs[HOST_S] + costs[HOST_SEQUENCE_S] * sequences
    return float(max(host_s, _device_s(costs, tokens, sequences)))


@kernel
def step_fixed_j(costs: NDArray[np.float64], tokens: float, sequences: float) -> float:
    """Joules above idle of all GPUs of one stage for the same part of the step.

    Between the floor, which draws nothing here, and the peak: moving bytes draws BUSY_W, and
    arithmetic adds its own share, so that a step bound by arithmetic draws about peak power.
    """
    busy_s = _device_s(costs, tokens, sequences) - costs[FLOOR_S]
    arithmetic_j = costs[TOKEN_J] * tokens + costs[SEQUENCE_J] * sequences
    return float(costs[BUSY_W] * busy_s + arithmetic_j)


@kernel
def _device_s(costs: NDArray[np.float64], tokens: float, sequences: float) -> float:
    """The same, without regard to a host that is ahead."""
    seconds = (
        costs[FLOOR_S]
        + costs[LINEAR_TOKEN_S] * tokens
        + costs[SEQUENCE_S] * sequences
        + _roofline_s(costs[TOKEN_S] * tokens, costs[WEIGHT_S])
        + _roofline_s(costs[HEAD_SEQUENCE_S] * sequences, costs[HEAD_WEIGHT_S])
    )
    if costs[EXPERT_WEIGHT_S] > 0.0:
        # Tokens pick experts evenly: a share 1 - (1 - k/E)^tokens of them is read.
        touched = 1.0 - math.exp(costs[EXPERT_LOG_MISS] * tokens)
        seconds += _roofline_s(costs[EXPERT_TOKEN_S] * tokens, costs[EXPERT_WEIGHT_S] * touched)
    seconds += costs[MIXED_S] * sequences * max(0.0, tokens - sequences)
    if 0.0 < costs[LINK_A_TOKENS] < tokens:
        seconds += costs[LINK_A_S] + costs[LINK_A_TOKEN_S] * tokens
    if 0.0 < costs[LINK_B_TOKENS] < tokens:
        seconds += costs[LINK_B_S] + costs[LINK_B_TOKEN_S] * tokens
    return float(seconds)


@kernel
def _roofline_s(arithmetic_s: float, reading_s: float) -> float:
    a = arithmetic_s * arithmetic_s
    b = reading_s * reading_s
    return math.sqrt(math.sqrt(a * a + b * b))
