"""A replica under a fixed number of users, step by step: what a load generator measures.

Each user sends a request, waits for its last token and sends the next; all start together. The
first prompts queue behind each other and requests that were prefilled together come back together,
which is a large part of a measured TTFT at a fixed concurrency and the reason why this is stepped
through and not a formula. Admission reserves the whole request in the KV cache, so that nothing is
preempted; beyond that it follows vLLM V1: decodes first, then chunked prefill up to the token
budget, first come first served.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.compiled import kernel
from boute.performance.replica import Replica
from boute.performance.steady import Steady
from boute.performance.step import CONTEXT_S, PAIR_S, step_fixed_s

__all__ = ["closed_loop"]

# What the usual recipes do: ten requests a user, lengths spread evenly around the mean.
ROUNDS: Final = 10
SPREAD: Final = 0.1
# Requests that start together reach the scheduler one after another: HTTP and tokenising.
STAGGER_S: Final = 0.001

# Columns of the users' state [users, 6].
INPUT: Final = 0
OUTPUT: Final = 1
PREFILLED: Final = 2
GENERATED: Final = 3
CHUNK: Final = 4  # tokens in the step that runs; 0 when left out of it
RUNNING: Final = 5  # 1 in the batch, 0 waiting
N_COLUMNS: Final = 6


def closed_loop(
    replica: Replica, input_tokens: int, output_tokens: int, concurrency: int
) -> Steady:
    """Means over ten requests a user; `load` is the users over the places in the batch.

    All arguments at least 1. Lengths are spread by a tenth around the means, with no randomness.
    """
    cached = replica.kv_blocks * replica.block_size
    ttft_s, tpot_s, running, held, requests_per_s, tokens_per_s = _run(
        replica.costs,
        np.array([replica.stages, replica.max_num_seqs, replica.max_num_batched_tokens, cached]),
        np.array([input_tokens, output_tokens]),
        concurrency,
        concurrency * ROUNDS,
    )
    places = min(replica.max_num_seqs, cached / (input_tokens + output_tokens))
    return Steady(
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        tokens_per_s=tokens_per_s,
        requests_per_s=requests_per_s,
        running=running,
        kv_use=held / cached,
        load=concurrency / places,
    )


@kernel
def _run(
    costs: NDArray[np.float64],
    limits: NDArray[np.int64],
    means: NDArray[np.int64],
    users: int,
    requests: int,
) -> tuple[float, float, float, float, float, float]:
    """Mean TTFT and TPOT, means over time of running sequences and held tokens, and the rates.

    `limits` are stages, sequences, tokens a step and cached tokens; `means` input and output.
    """
    state = np.zeros((users, N_COLUMNS), dtype=np.int64)
    arrival_s = STAGGER_S * np.arange(users, dtype=np.float64)
    first_s = np.zeros(users)
    for user in range(users):
        _send(state[user], user, means)
    sent, done, decoded = users, 0, 0
    now_s, ttft_s, tpot_s, running_s, held_s = 0.0, 0.0, 0.0, 0.0, 0.0
    while done < requests:
        _schedule(state, arrival_s, now_s, limits)
        steps = _equal_steps(state, arrival_s, now_s)
        step_s = _steps_s(costs, state, limits[0], steps)
        if step_s == 0.0:
            now_s = max(now_s, arrival_s.min())
            continue
        now_s += step_s
        finished = 0
        for user in range(users):
            row = state[user]
            running_s += row[RUNNING] * step_s
            held_s += (row[PREFILLED] + row[GENERATED] + row[RUNNING] * steps / 2.0) * step_s
            if row[CHUNK] == 0:
                continue
            if row[PREFILLED] < row[INPUT]:
                row[PREFILLED] += row[CHUNK]
                if row[PREFILLED] < row[INPUT]:
                    continue
                first_s[user] = now_s
            row[GENERATED] += steps
            if row[GENERATED] == row[OUTPUT]:
                ttft_s += first_s[user] - arrival_s[user]
                tpot_s += (now_s - first_s[user]) / max(1, row[OUTPUT] - 1)
                decoded += row[OUTPUT]
                done += 1
                finished += 1
                arrival_s[user] = now_s + finished * STAGGER_S
                _send(row, sent, means)
                sent += 1
    means_s = ttft_s / done, tpot_s / done
    return *means_s, running_s / now_s, held_s / now_s, done / now_s, decoded / now_s


@kernel
def _send(row: NDArray[np.int64], index: int, means: NDArray[np.int64]) -> None:
    """A new request of a user: lengths from a sequence that fills the spread evenly.

    The two steps are those of the R2 sequence, so that input and output are not tied.
    """
    for column, step in ((INPUT, 0.7548776662466927), (OUTPUT, 0.5698402909980532)):
        place = (0.5 + index * step) % 1.0
        row[column] = max(1, round(means[column] * (1.0 + SPREAD * (2.0 * place - 1.0))))
    row[PREFILLED] = 0
    row[GENERATED] = 0
    row[RUNNING] = 0


@kernel
def _schedule(
    state: NDArray[np.int64],
    arrival_s: NDArray[np.float64],
    now_s: float,
    limits: NDArray[np.int64],
) -> None:
    """Fill CHUNK for the next step and let users in: decodes, prompts under way, then arrivals."""
    left, running, reserved = limits[2], 0, 0
    for row in state:
        row[CHUNK] = 0
        if row[RUNNING] == 1:
            running += 1
            reserved += row[INPUT] + row[OUTPUT]
            if row[PREFILLED] == row[INPUT]:
                row[CHUNK] = 1
                left -= 1
    for row in state:
        if row[RUNNING] == 1 and row[PREFILLED] < row[INPUT] and left > 0:
            row[CHUNK] = min(left, row[INPUT] - row[PREFILLED])
            left -= row[CHUNK]
    while left > 0 and running < limits[1]:
        user = _next(state, arrival_s)
        if user < 0 or arrival_s[user] > now_s:
            break
        row = state[user]
        reserved += row[INPUT] + row[OUTPUT]
        if reserved > limits[3] and running > 0:
            break
        running += 1
        row[RUNNING] = 1
        row[CHUNK] = min(left, row[INPUT])
        left -= row[CHUNK]


@kernel
def _next(state: NDArray[np.int64], arrival_s: NDArray[np.float64]) -> int:
    """The user outside the batch who came first; -1 when all are in."""
    first = -1
    for user in range(len(state)):
        if state[user, RUNNING] == 0 and (first < 0 or arrival_s[user] < arrival_s[first]):
            first = user
    return first


@kernel
def _equal_steps(state: NDArray[np.int64], arrival_s: NDArray[np.float64], now_s: float) -> int:
    """How many steps the batch stays as it is: until a sequence ends, if all of it decodes.

    Whoever has arrived and is not in waits for an end too; one who is still to arrive may come in
    after any step.
    """
    steps = 0
    for user in range(len(state)):
        if state[user, RUNNING] == 1:
            if state[user, PREFILLED] < state[user, INPUT]:
                return 1
            left = state[user, OUTPUT] - state[user, GENERATED]
            steps = left if steps == 0 else min(steps, left)
        elif arrival_s[user] > now_s:
            return 1
    return max(1, steps)


@kernel
def _steps_s(
    costs: NDArray[np.float64], state: NDArray[np.int64], stages: int, steps: int
) -> float:
    """Seconds until the batch has passed the stages `steps` times; 0 for an empty batch.

    With a pipeline the batch is split over the stages in flight. More than one step is of decodes
    only, each of which reads one token more than in the step before.
    """
    batch, tokens, sequences, pairs, context = 0.0, 0.0, 0.0, 0.0, 0.0
    for user in range(len(state)):
        chunk, done, size = state[user, CHUNK], state[user, PREFILLED], state[user, INPUT]
        if chunk == 0:
            continue
        batch += 1.0
        tokens += chunk
        if done < size:
            pairs += chunk * (done + chunk / 2.0)
            sequences += done + chunk == size
        else:
            sequences += 1.0
            context += size + state[user, GENERATED] + (steps - 1) / 2.0
    if batch == 0.0:
        return 0.0
    flight = min(float(stages), batch)
    each_s = (costs[PAIR_S] * pairs + costs[CONTEXT_S] * context) / flight
    each_s += step_fixed_s(costs, tokens / flight, sequences / flight)
    return float(stages * steps * each_s)
