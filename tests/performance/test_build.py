from __future__ import annotations

from pathlib import Path

import pytest

from boute.performance import step
from boute.performance.build import build_replica
from boute.performance.replica import Replica
from boute.performance.step import step_fixed_j, step_fixed_s
from boute.profiles.catalog import load_gpu, load_model
from boute.spec.family import ModelChoice
from boute.spec.model import Engine


def decode_s(replica, batch: float, context: float) -> float:
    each = batch / min(replica.stages, batch)
    costs = replica.costs
    return replica.stages * (
        step_fixed_s(costs, each, each) + costs[step.CONTEXT_S] * each * context
    )


# Orders of magnitude that anyone who serves these models knows.
@pytest.mark.parametrize(
    ("model", "gpu", "tp", "weights", "low_s", "high_s"),
    [
        ("llama-3.1-8b", "h100-sxm", 1, "bf16", 0.006, 0.0085),
        ("llama-3.1-8b", "l4", 1, "bf16", 0.055, 0.085),
        ("llama-3.1-70b", "h100-sxm", 2, "fp8", 0.014, 0.020),
        ("llama-3.1-70b", "a100-80gb", 4, "bf16", 0.024, 0.036),
        ("mixtral-8x7b", "a100-80gb", 2, "bf16", 0.009, 0.020),
    ],
)
def test_one_sequence_decodes_at_the_known_pace(build, model, gpu, tp, weights, low_s, high_s):
    replica = build(model, gpu, tp=tp, weights=weights)
    assert low_s < decode_s(replica, 1, 512) < high_s


def test_fewer_bytes_decode_faster_and_a_pipeline_does_not(build):
    plain = decode_s(build("llama-3.1-8b", "h100-sxm"), 1, 512)
    assert decode_s(build("llama-3.1-8b", "h100-sxm", weights="fp8"), 1, 512) < plain
    assert decode_s(build("llama-3.1-8b", "a100-80gb", weights="int4"), 1, 512) < decode_s(
        build("llama-3.1-8b", "a100-80gb"), 1, 512
    )
    assert decode_s(build("llama-3.1-8b", "h100-sxm", tp=2), 1, 512) < plain
    assert decode_s(build("llama-3.1-8b", "h100-sxm", pp=2), 1, 512) >= plain


def test_few_tokens_read_few_experts(build):
    replica = build("qwen3-30b-a3b", "h100-sxm")
    assert decode_s(replica, 1, 512) < decode_s(replica, 64, 512) / 2


def test_links_decide_what_tensor_parallelism_brings(build):
    switched = build("llama-3.1-8b", "a100-80gb", tp=4)
    over_pcie = build("llama-3.1-8b", "l40s", tp=4)
    assert over_pcie.costs[step.LINEAR_TOKEN_S] > 10 * switched.costs[step.LINEAR_TOKEN_S]


@pytest.mark.parametrize("tokens", [1, 64, 512, 8192])
@pytest.mark.parametrize("gpu", ["h100-sxm", "l4", "mi300x"])
def test_power_stays_between_idle_and_peak(build, gpu, tokens):
    replica, card = build("llama-3.1-8b", gpu), load_gpu(gpu, Path())
    costs = replica.costs
    joules = step_fixed_j(costs, tokens, 1) + costs[step.PAIR_J] * tokens**2 / 2
    seconds = step_fixed_s(costs, tokens, 1) + costs[step.PAIR_S] * tokens**2 / 2
    power_w = joules / seconds
    assert 0 < power_w <= (card.peak_w - card.idle_w) * replica.gpus
    if tokens == 8192:
        assert power_w > 0.8 * (card.peak_w - card.idle_w)


def test_a_window_shortens_attention(build):
    narrow = build("gemma-3-12b", "h100-sxm", max_model_len=8192)
    short = build("gemma-3-12b", "h100-sxm", max_model_len=2048)
    assert narrow.costs[step.CONTEXT_S] < short.costs[step.CONTEXT_S]


@pytest.mark.parametrize(
    ("gpu", "tp", "pp", "length", "reason"),
    [
        ("h100-sxm", 3, 1, 4096, "power of two"),
        ("h100-sxm", 8, 2, 4096, "needs 16 GPUs in one node"),
        ("t4", 1, 1, 4096, "GiB of weights"),
        ("rtx-4090", 1, 1, 100_000, "KV cache"),
        ("h100-sxm", 1, 1, 200_000, "takes 131072"),
        ("h100-sxm", 1, 0, 4096, "at least 1"),
        ("h100-sxm", 0, 1, 4096, "power of two"),
    ],
)
def test_what_cannot_exist_has_a_reason(gpu, tp, pp, length, reason):
    made = build_replica(
        load_model("llama-3.1-8b", Path()),
        load_gpu(gpu, Path()),
        ModelChoice(name="llama-3.1-8b"),
        Engine(),
        tensor_parallel=tp,
        pipeline_parallel=pp,
        max_model_len=length,
    )
    assert isinstance(made, str)
    assert reason in made


def test_heads_have_to_be_split_evenly():
    made = build_replica(
        load_model("qwen2.5-7b", Path()),  # 28 heads
        load_gpu("h100-sxm", Path()),
        ModelChoice(name="qwen2.5-7b"),
        Engine(),
        tensor_parallel=8,
        pipeline_parallel=1,
        max_model_len=4096,
    )
    assert made == "28 attention heads cannot be split over 8 GPUs"


@pytest.mark.parametrize(("said", "ahead"), [(None, True), (True, True), (False, False)])
def test_gpus_schedule_ahead_unless_the_spec_says_no(said: bool | None, ahead: bool) -> None:
    replica = _llama_8b("h100-sxm", Engine(async_scheduling=said))
    assert replica.async_scheduling is ahead
    # The host's work is hidden behind the GPUs' or it is paid every step.
    assert bool(replica.costs[step.HOST_S] > 0) is ahead


def test_decodes_beside_a_prompt_cost_more_where_attention_does_not_pack_them() -> None:
    ada, hopper = (_llama_8b(gpu, Engine()).costs for gpu in ("l40s", "h100-sxm"))
    assert ada[step.MIXED_CONTEXT_S] > 0.1 * ada[step.CONTEXT_S]
    assert ada[step.MIXED_S] > 0
    assert hopper[step.MIXED_CONTEXT_S] == hopper[step.MIXED_S] == 0
    apart = step_fixed_s(ada, 64.0, 64.0) + step_fixed_s(ada, 512.0, 1.0)
    assert step_fixed_s(ada, 576.0, 65.0) < apart


def _llama_8b(gpu: str, engine: Engine) -> Replica:
    replica = build_replica(
        load_model("llama-3.1-8b", Path()),
        load_gpu(gpu, Path()),
        ModelChoice(name="llama-3.1-8b"),
        engine,
        tensor_parallel=1,
        pipeline_parallel=1,
        max_model_len=4096,
    )
    assert isinstance(replica, Replica)
    return replica
