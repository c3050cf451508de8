"""A replica under a load generator that keeps a fixed number of requests under way.

Step by step, because a formula would miss what such runs show: all start together, so the first
prompts queue behind each other; requests that were prefilled together end together and queue
together again; and a request that follows one that ended comes too late for the step that starts at
that moment, or that was decided on while the one before ran. `Load` says what the generator does,
and docs/fidelity.md which recipe of which published data it is. Admission reserves the whole
request in the KV cache, so that nothing is preempted; beyond that it follows vLLM V1: decodes
first, then chunked prefill up to the token budget, first come first served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.compiled import kernel
from boute.performance.replica import Replica
from boute.performance.steady import Steady
from boute.performance.step import CONTEXT_S, MIXED_CONTEXT_S, PAIR_S, step_fixed_s

__all__ = ["Load", "LoopRun", "closed_loop", "run_loop"]

# The server takes requests one after another: HTTP, validation, and the tokens of the prompt.
ACCEPT_S: Final = 0.001
TOKENIZE_S: Final = 2e-6
# Where a request goes on to the next: the last token's way out, and the next request's way in.
TURNAROUND_S: Final = 0.001

# Columns of the users' state [users, 6].
INPUT: Final = 0
OUTPUT: Final = 1
PREFILLED: Final = 2
GENERATED: Final = 3
CHUNK: Final = 4  # tokens in the step that runs; 0 when left out of it
RUNNING: Final = 5  # 1 in the batch, 0 waiting
N_COLUMNS: Final = 6


@dataclass(frozen=True)
class Load:
    """What a load generator does: `concurrency` requests at a time, `rounds` times as many in all.

    Lengths are spread evenly over `shortest` to `longest` times the tokens given, at least one
    token.
    """

    input_tokens: int
    output_tokens: int
    concurrency: int
    rounds: int = 10
    shortest: float = 0.9
    longest: float = 1.1


@dataclass(frozen=True, eq=False)
class LoopRun:
    """Times of the requests [concurrency x rounds] in order of completion, and means over time.

    `ttft_s` counts from the moment the client sends. `running` is the mean number of sequences in
    the batch, `held` of tokens in the KV cache, over `seconds`.
    """

    ttft_s: NDArray[np.float64]
    tpot_s: NDArray[np.float64]
    output_tokens: int
    seconds: float
    running: float
    held: float


def run_loop(replica: Replica, load: Load) -> LoopRun:
    """Step through the whole run, to the end of its last request."""
    cached = replica.kv_blocks * replica.block_size
    requests = load.concurrency * load.rounds
    ttft_s, tpot_s = np.zeros(requests), np.zeros(requests)
    seconds, running_s, held_s, tokens = _run(
        replica.costs,
        np.array([replica.stages, replica.max_num_seqs, replica.max_num_batched_tokens, cached]),
        _lengths(load),
        load.concurrency,
        replica.async_scheduling,
        (ttft_s, tpot_s),
    )
    return LoopRun(ttft_s, tpot_s, tokens, seconds, running_s / seconds, held_s / seconds)


def closed_loop(replica: Replica, load: Load) -> Steady:
    """Means over the run; `load` is the users over the places in the batch."""
    run = run_loop(replica, load)
    cached = replica.kv_blocks * replica.block_size
    places = min(replica.max_num_seqs, cached / (load.input_tokens + load.output_tokens))
    return Steady(
        ttft_s=float(run.ttft_s.mean()),
        tpot_s=float(run.tpot_s.mean()),
        tokens_per_s=run.output_tokens / run.seconds,
        requests_per_s=len(run.ttft_s) / run.seconds,
        running=run.running,
        kv_use=run.held / cached,
        load=load.concurrency / places,
    )


def _lengths(load: Load) -> NDArray[np.int64]:
    """Input and output tokens of every request [requests, 2], with no randomness.

    From the R2 sequence, which fills the square evenly, so that inputs and outputs are not tied.
    """
    index = np.arange(load.concurrency * load.rounds, dtype=np.float64)[:, None]
    place = (0.5 + index * np.array([0.7548776662466927, 0.5698402909980532])) % 1.0
    share = load.shortest + (load.longest - load.shortest) * place
    tokens = np.array([load.input_tokens, load.output_tokens])
    lengths: NDArray[np.int64] = np.maximum(1, np.rint(tokens * share)).astype(np.int64)
    return lengths


@kernel
def _run(
    costs: NDArray[np.float64],
    limits: NDArray[np.int64],
    lengths: NDArray[np.int64],
    users: int,
    asynchronous: bool,
    times: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[float, float, float, int]:
    """Fill the `times` of the requests; the end, and sequences and held tokens times seconds.

    `limits` are stages, sequences, tokens a step and cached tokens.
    """
    state = np.zeros((users, N_COLUMNS), dtype=np.int64)
    sent_s, arrival_s, first_s = np.zeros(users), np.zeros(users), np.zeros(users)
    free_s = 0.0
    for user in range(users):
        free_s = _send(state[user], lengths[user], free_s)
        arrival_s[user] = free_s
    sent, done, decoded = users, 0, 0
    now_s, seen_s, running_s, held_s = 0.0, 0.0, 0.0, 0.0
    while done < len(lengths):
        _schedule(state, arrival_s, seen_s, limits)
        steps = _equal_steps(state, arrival_s, seen_s)
        step_s = _steps_s(costs, state, limits[0], steps)
        if step_s == 0.0:
            now_s = max(now_s, arrival_s.min())
            seen_s = now_s
            continue
        # The step after this is decided when this one, or the last of these, begins or ends.
        seen_s = now_s + step_s * (steps - 1) / steps if asynchronous else now_s + step_s
        now_s += step_s
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
                times[0][done] = first_s[user] - sent_s[user]
                times[1][done] = (now_s - first_s[user]) / max(1, row[OUTPUT] - 1)
                decoded += row[OUTPUT]
                done += 1
                sent_s[user] = now_s + TURNAROUND_S
                arrival_s[user] = np.inf
                if sent < len(lengths):
                    free_s = _send(row, lengths[sent], max(free_s, sent_s[user]))
                    arrival_s[user] = free_s
                    sent += 1
                else:
                    row[:] = 0
    return now_s, running_s, held_s, decoded


@kernel
def _send(row: NDArray[np.int64], size: NDArray[np.int64], free_s: float) -> float:
    """A new request of a user; when the server, free from `free_s` on, has taken it in."""
    row[INPUT], row[OUTPUT] = size[0], size[1]
    row[PREFILLED], row[GENERATED], row[RUNNING] = 0, 0, 0
    return float(free_s + ACCEPT_S + TOKENIZE_S * size[0])


@kernel
def _schedule(
    state: NDArray[np.int64],
    arrival_s: NDArray[np.float64],
    seen_s: float,
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
        if user < 0 or arrival_s[user] > seen_s:
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
def _equal_steps(state: NDArray[np.int64], arrival_s: NDArray[np.float64], seen_s: float) -> int:
    """How many steps the batch stays as it is: until a sequence ends, if all of it decodes.

    Whoever has been seen and is not in waits for an end too; one who is still to be seen may come
    in after any step.
    """
    steps = 0
    for user in range(len(state)):
        if state[user, RUNNING] == 1:
            if state[user, PREFILLED] < state[user, INPUT]:
                return 1
            left = state[user, OUTPUT] - state[user, GENERATED]
            steps = left if steps == 0 else min(steps, left)
        elif seen_s < arrival_s[user] < np.inf:
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
    context_s = costs[CONTEXT_S] + (costs[MIXED_CONTEXT_S] if pairs > 0.0 else 0.0)
    each_s = (costs[PAIR_S] * pairs + context_s * context) / flight
    each_s += step_fixed_s(costs, tokens / flight, sequences / flight)
    return float(stages * steps * each_s)
