from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.performance.closed_loop import (
    ACCEPT_S,
    TOKENIZE_S,
    TURNAROUND_S,
    Load,
    closed_loop,
    run_loop,
)
from boute.performance.replica import Replica
from boute.performance.step import CONTEXT_S, N_COSTS, PAIR_S, step_fixed_s


def simple_replica(**changes) -> Replica:
    costs = np.zeros(N_COSTS)
    costs[:2] = 1e-5, 5e-3
    costs[8:12] = 1e-6, 1e-3, 1e-10, 1e-9
    record = {
        "costs": costs,
        "stages": 1,
        "kv_blocks": 10_000,
        "block_size": 16,
        "max_num_seqs": 64,
        "max_num_batched_tokens": 2048,
        "gpus": 1,
        "idle_w": 50.0,
        "async_scheduling": True,
    }
    return Replica(**{**record, **changes})


def reference(replica: Replica, load: Load) -> tuple[list[float], list[float]]:
    """TTFT and TPOT of every request of the same loop, as one would write it first, one stage."""
    sizes = [tuple(row) for row in lengths(load)]
    waiting, running, ttft, tpot = [], [], [], []
    now, seen, free = 0.0, 0.0, 0.0

    def send(user: int, at: float) -> None:
        nonlocal free
        size = sizes.pop(0)
        free = max(free, at) + ACCEPT_S + TOKENIZE_S * size[0]
        waiting.append({"sent": at, "at": free, "user": user, "size": size, "in": 0, "out": 0})

    for user in range(load.concurrency):
        send(user, 0.0)
    for request in waiting:
        request["sent"] = 0.0
    while waiting or running:
        budget, chunks = replica.max_num_batched_tokens, {}
        decodes = [r for r in running if r["in"] == r["size"][0]]
        budget -= len(decodes)
        for r in sorted(running, key=lambda r: r["user"]):
            if r not in decodes and budget > 0:
                chunks[r["user"]] = min(budget, r["size"][0] - r["in"])
                budget -= chunks[r["user"]]
        for r in sorted(waiting, key=lambda r: (r["at"], r["user"])):
            held = sum(sum(x["size"]) for x in [*running, r])
            fits = held <= replica.kv_blocks * replica.block_size or not running
            full = budget <= 0 or len(running) == replica.max_num_seqs
            if r["at"] > seen or full or not fits:
                break
            waiting.remove(r)
            running.append(r)
            chunks[r["user"]] = min(budget, r["size"][0])
            budget -= chunks[r["user"]]
        if not decodes and not chunks:
            now = seen = max(now, min(r["at"] for r in waiting))
            continue
        ends = [r for r in running if r["user"] in chunks]
        ends = [r for r in ends if r["in"] + chunks[r["user"]] == r["size"][0]]
        pairs = sum(
            chunks[r["user"]] * (r["in"] + chunks[r["user"]] / 2)
            for r in running
            if r["user"] in chunks
        )
        context = sum(r["size"][0] + r["out"] for r in decodes)
        begun = now
        now += step_fixed_s(
            replica.costs, len(decodes) + sum(chunks.values()), len(decodes) + len(ends)
        )
        now += replica.costs[PAIR_S] * pairs + replica.costs[CONTEXT_S] * context
        seen = begun if replica.async_scheduling else now
        for r in running:
            r["in"] += chunks.get(r["user"], 0)
        for r in sorted([*decodes, *ends], key=lambda r: r["user"]):
            r["out"] += 1
            if r["out"] == 1:
                r["first"] = now
            if r["out"] == r["size"][1]:
                ttft.append(r["first"] - r["sent"])
                tpot.append((now - r["first"]) / max(1, r["size"][1] - 1))
                running.remove(r)
                if sizes:
                    send(r["user"], now + TURNAROUND_S)
    return ttft, tpot


def lengths(load: Load) -> np.ndarray:
    """Input and output tokens of the requests, one by one."""
    rows = []
    for index in range(load.concurrency * load.rounds):
        row = []
        for tokens, stride in (
            (load.input_tokens, 0.7548776662466927),
            (load.output_tokens, 0.5698402909980532),
        ):
            place = (0.5 + index * stride) % 1
            share = load.shortest + (load.longest - load.shortest) * place
            row.append(max(1, round(tokens * share)))
        rows.append(row)
    return np.array(rows)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3000),
    st.integers(1, 40),
    st.integers(1, 12),
    st.sampled_from([64, 500, 2048]),
    st.sampled_from([400, 2000]),
    st.sampled_from([3, 64]),
    st.sampled_from([(0.9, 1.1), (0.8, 1.0), (1.0, 1.0)]),
    st.booleans(),
)
def test_agrees_with_a_plain_reference(
    inputs, outputs, users, budget, blocks, seqs, spread, asynchronous
):
    replica = simple_replica(
        max_num_batched_tokens=budget,
        kv_blocks=blocks,
        max_num_seqs=seqs,
        async_scheduling=asynchronous,
    )
    load = Load(inputs, outputs, users, 6, *spread)
    found = run_loop(replica, load)
    ttft_s, tpot_s = reference(replica, load)
    assert sorted(found.ttft_s) == pytest.approx(sorted(ttft_s), rel=1e-6)
    assert sorted(found.tpot_s) == pytest.approx(sorted(tpot_s), rel=1e-6)
    assert found.output_tokens == lengths(load)[:, 1].sum()


def test_one_user_decodes_alone():
    replica = simple_replica()
    found = closed_loop(replica, Load(100, 200, 1))
    alone_s = step_fixed_s(replica.costs, 1, 1) + replica.costs[CONTEXT_S] * 200
    assert found.tpot_s == pytest.approx(alone_s, rel=1e-3)
    taken_in_s = ACCEPT_S + 100 * TOKENIZE_S
    prompt_s = step_fixed_s(replica.costs, 100, 1)
    assert found.ttft_s == pytest.approx(prompt_s + taken_in_s, rel=0.01)


def test_a_prompt_that_comes_while_steps_are_decided_ahead_waits_for_one_more():
    replica = simple_replica()
    load = Load(100, 200, 8)
    ahead, behind = (closed_loop(replace(replica, async_scheduling=a), load) for a in (True, False))
    step_s = step_fixed_s(replica.costs, 8, 8)
    assert ahead.ttft_s - behind.ttft_s == pytest.approx(step_s, rel=0.5)
    assert ahead.tpot_s == pytest.approx(behind.tpot_s, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 2000), st.integers(20, 100), st.integers(1, 100))
def test_users_are_conserved(inputs, outputs, users):
    found = closed_loop(simple_replica(), Load(inputs, outputs, users))
    request_s = found.ttft_s + found.tpot_s * (outputs - 1)
    # Little's law, up to the requests that the end of the run cuts off and the users' own pauses.
    assert found.requests_per_s * request_s == pytest.approx(users, rel=0.15)
    assert found.running <= min(users, 64) + 1e-9
    assert 0 < found.kv_use <= 1


def test_more_users_bring_more_tokens_and_longer_steps():
    found = [closed_loop(simple_replica(), Load(500, 100, users)) for users in (1, 4, 16, 64)]
    assert np.all(np.diff([one.tokens_per_s for one in found]) > 0)
    assert np.all(np.diff([one.tpot_s for one in found]) > 0)
    assert np.all(np.diff([one.ttft_s for one in found]) > 0)


def test_users_beyond_the_places_wait():
    found = closed_loop(simple_replica(max_num_seqs=8), Load(100, 50, 32))
    assert found.running <= 8
    assert found.ttft_s > 2 * found.tpot_s * 50


def test_a_pipeline_shortens_the_step_of_many_and_not_of_one():
    costs = simple_replica().costs
    halves = simple_replica(costs=costs / 2, stages=2)
    assert closed_loop(halves, Load(10, 100, 1)).tpot_s == pytest.approx(
        closed_loop(simple_replica(), Load(10, 100, 1)).tpot_s
    )
    assert (
        closed_loop(halves, Load(10, 100, 64)).tpot_s
        < closed_loop(simple_replica(), Load(10, 100, 64)).tpot_s
    )
