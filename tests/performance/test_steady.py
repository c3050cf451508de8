from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.performance.closed_loop import Load, closed_loop
from boute.performance.mix import lengths_of
from boute.performance.steady import Lengths, capacity, latency_at
from boute.performance.step import CONTEXT_S, step_fixed_s
from boute.simulation.pool import simulate_pool

SHAPES = [
    ("llama-3.1-8b", "h100-sxm", 1, 1),
    ("llama-3.1-8b", "a10g", 1, 1),
    ("llama-3.1-70b", "a100-80gb", 4, 1),
    ("llama-3.1-70b", "l40s", 4, 2),
    ("qwen3-30b-a3b", "h100-sxm", 2, 1),
]
lengths = st.builds(Lengths, st.floats(1, 3000), st.floats(1, 1000))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SHAPES), lengths, st.lists(st.floats(0, 2), min_size=2, max_size=8))
def test_latency_grows_with_the_rate(build, shape, asked, loads):
    model, gpu, tp, pp = shape
    replica = build(model, gpu, tp=tp, pp=pp, weights="bf16", max_model_len=4096)
    highest = capacity(replica, asked)
    assert 0 < highest < math.inf
    found = [latency_at(replica, load * highest, asked) for load in sorted(loads)]
    for before, after in pairwise(found):
        assert after.ttft_s >= before.ttft_s * (1 - 1e-6)
        assert after.tpot_s >= before.tpot_s * (1 - 1e-6)
        assert after.running >= before.running - 1e-6
        assert after.requests_per_s <= highest * (1 + 1e-9)
    for load, one in zip(sorted(loads), found, strict=True):
        assert math.isfinite(one.tpot_s)
        assert 0 <= one.kv_use <= 1
        assert math.isfinite(one.ttft_s) == (load < 1) or load == pytest.approx(1)


def test_an_idle_replica_answers_at_the_pace_of_one_sequence(build):
    replica = build("llama-3.1-8b", "h100-sxm")
    asked = Lengths(512, 256)
    found = latency_at(replica, 1e-9, asked)
    alone_s = step_fixed_s(replica.costs, 1, 1) + replica.costs[CONTEXT_S] * (512 + 128)
    assert found.tpot_s == pytest.approx(alone_s, rel=1e-3)
    assert found.running == pytest.approx(0, abs=1e-6)


def test_running_sequences_obey_littles_law(build):
    replica = build("llama-3.1-8b", "h100-sxm")
    asked = Lengths(512, 256)
    rate = 0.6 * capacity(replica, asked)
    found = latency_at(replica, rate, asked)
    assert found.running == pytest.approx(rate * 255 * found.tpot_s, rel=0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_capacity_is_what_a_crowd_of_users_gets(build, shape):
    model, gpu, tp, pp = shape
    replica = build(model, gpu, tp=tp, pp=pp, max_num_seqs=64)
    asked = Lengths(800, 200)
    crowd = closed_loop(replica, Load(800, 200, 256))
    if pp == 1:
        assert capacity(replica, asked) == pytest.approx(crowd.requests_per_s, rel=0.2)
    else:  # a crowd of like requests fills the stages more evenly than one of unlike ones
        assert 0.6 * crowd.requests_per_s < capacity(replica, asked) < crowd.requests_per_s


@pytest.mark.parametrize("pp", [1, 2, 4])
@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_capacity_is_what_a_replica_that_never_runs_dry_gets(build, pp, spread):
    replica = build("llama-3.1-8b", "l4", pp=pp, max_model_len=8192, max_num_seqs=64)
    rng = np.random.default_rng(0)
    input_tokens = np.clip(600 * rng.lognormal(-(spread**2) / 2, spread, 2000), 1, 6000)
    output_tokens = np.clip(200 * rng.lognormal(-(spread**2) / 2, spread, 2000), 1, 2000)
    tokens = [column.astype(np.int64) for column in (input_tokens, output_tokens)]
    run = simulate_pool(replica, 1, np.zeros(2000), tokens[0], tokens[1], 0)
    first, last = np.quantile(run.finish_s, [0.2, 0.8])
    asked = lengths_of(tokens[0], tokens[1])
    assert capacity(replica, asked) == pytest.approx(0.6 * 2000 / (last - first), rel=0.2)


def test_longer_requests_lower_the_capacity(build):
    replica = build("llama-3.1-8b", "l4", max_model_len=4096)
    assert capacity(replica, Lengths(512, 512)) < capacity(replica, Lengths(512, 256))
    assert capacity(replica, Lengths(1024, 256)) < capacity(replica, Lengths(512, 256))
    spread = Lengths(512, 256, input_square=4 * 512**2, context=1200)
    assert capacity(replica, spread) < capacity(replica, Lengths(512, 256))


def test_scheduled_ahead_a_prompt_waits_for_one_step_more(build):
    replica = build("llama-3.1-8b", "h100-sxm")
    lengths = Lengths(800, 200)
    rate = 0.5 * capacity(replica, lengths)
    ahead, after = (
        latency_at(dataclasses.replace(replica, async_scheduling=is_ahead), rate, lengths)
        for is_ahead in (True, False)
    )
    assert ahead.tpot_s == after.tpot_s
    # Between tokens a sequence now and then waits for prompts too, which is no step of decodes.
    assert 0.7 * after.tpot_s < ahead.ttft_s - after.ttft_s < after.tpot_s
