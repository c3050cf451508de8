from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.performance.memory import GIB, memory_plan
from boute.profiles.catalog import gpu_names, load_gpu, load_model, model_names
from boute.spec.model import Engine

MODELS = [load_model(name, Path()) for name in model_names()]
GPUS = [load_gpu(name, Path()) for name in gpu_names()]
VLLM_ON_H100 = Engine(max_num_batched_tokens=8192, max_num_seqs=1024)


@pytest.mark.parametrize(
    ("model", "tp", "weights", "length", "gib"),
    [
        ("llama-3.1-8b", 1, "bf16", 8192, (14.99, 4.76, 51.38)),
        ("llama-3.3-70b", 2, "fp8", 8192, (33.88, 4.84, 32.0)),
        ("qwen3-32b", 1, "bf16", 16384, (61.03, 5.64, 4.45)),
    ],
)
def test_agrees_with_what_vllm_reports_on_an_h100(model, tp, weights, length, gib):
    plan = memory_plan(
        load_model(model, Path()),
        load_gpu("h100-sxm", Path()),
        tp=tp,
        pp=1,
        weights=weights,
        kv_cache="bf16",
        engine=VLLM_ON_H100,
        max_model_len=length,
    )
    assert plan.reason is None
    assert plan.weights_bytes / GIB == pytest.approx(gib[0], rel=0.01)
    assert plan.activation_bytes / GIB == pytest.approx(gib[1], rel=0.03)
    # What is left carries the errors of all else: 1% of the GPU's memory.
    assert plan.kv_bytes / GIB == pytest.approx(gib[2], rel=0.03)


def test_agrees_with_vllm_on_an_rtx_4090():
    plan = memory_plan(
        load_model("llama-3.1-8b", Path()),
        load_gpu("rtx-4090", Path()),
        tp=1,
        pp=1,
        weights="bf16",
        kv_cache="bf16",
        engine=Engine(max_num_batched_tokens=2048, max_num_seqs=256),
        max_model_len=32_768,
    )
    assert plan.kv_tokens == pytest.approx(41_408, rel=0.03)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.sampled_from(GPUS),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from(["bf16", "fp8", "int4"]),
    st.floats(0.3, 1.0),
)
def test_parts_stay_within_the_gpu_or_there_is_a_reason(model, gpu, tp, pp, weights, share):
    engine = Engine(gpu_memory_utilization=share)

    def plan(tp: int, pp: int):
        return memory_plan(
            model,
            gpu,
            tp=tp,
            pp=pp,
            weights=weights,
            kv_cache="bf16",
            engine=engine,
            max_model_len=1024,
        )

    one = plan(tp, pp)
    parts = one.weights_bytes + one.activation_bytes + one.kv_bytes + one.overhead_bytes
    if one.reason is None:
        assert parts <= gpu.memory_gib * GIB * (1 + 1e-9)
        assert one.kv_tokens >= 1024
        assert one.kv_tokens == one.kv_blocks * engine.block_size
    else:
        assert one.reason.strip()
    assert plan(2 * tp, pp).weights_bytes < one.weights_bytes
    assert plan(tp, 2 * pp).weights_bytes < one.weights_bytes


def test_the_reason_says_how_much_is_missing():
    plan = memory_plan(
        load_model("llama-3.1-70b", Path()),
        load_gpu("a10g", Path()),
        tp=1,
        pp=1,
        weights="bf16",
        kv_cache="bf16",
        engine=Engine(),
        max_model_len=4096,
    )
    assert plan.reason == "needs 131.4 GiB of weights per GPU, a10g has 19.8 GiB at 0.9"
    assert plan.kv_blocks == 0
