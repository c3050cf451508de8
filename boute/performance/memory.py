"""What fits on the GPUs of a replica: weights, reserves and the blocks left for the KV cache.

Follows how vLLM divides a GPU: of `gpu_memory_utilization` times the memory, weights come first,
then what its profiling run finds for activations, sampler and CUDA graphs, and the rest is cache.
The reserve was calibrated on three start-ups of vLLM on one H100 (in GiB: Llama-3.1-8B weights
14.99, reserve 4.76, cache 51.38; Llama-3.3-70B-FP8 at tensor parallel 2, per GPU, 33.88, 4.84,
32.0; Qwen3-32B at 16k 61.03, 5.64, 4.45), run with vLLM's defaults for that GPU, 8192 tokens and
1024 sequences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boute.performance.shapes import kv_elements, layer_shape

if TYPE_CHECKING:
    from boute.profiles.gpu import GpuCard
    from boute.profiles.model import ModelCard
    from boute.spec.model import Engine

__all__ = ["GIB", "KV_BYTES", "WEIGHT_BYTES", "MemoryPlan", "memory_plan"]

GIB = 2.0**30
# Four-bit weights carry a 16-bit scale and zero for each group of 128 (GPTQ, AWQ).
WEIGHT_BYTES = {"bf16": 2.0, "fp8": 1.0, "int4": 0.5 + 4.0 / 128}
KV_BYTES = {"bf16": 2.0, "fp8": 1.0}
# CUDA context, libraries, collectives' buffers and captured graphs: the constant of the fit.
RUNTIME_GIB = 2.09
# What nvidia-smi counts as memory and CUDA does not offer (81559 MiB against 79.1 GiB on H100).
DRIVER_GIB = 0.5
# Sampling holds logits, their softmax, a sorted copy and its running sum in fp32.
SAMPLER_BYTES = 16.0


@dataclass(frozen=True)
class MemoryPlan:
    """The fullest GPU of a replica, in bytes; `kv_blocks` hold `kv_tokens` tokens.

    `reason` says why no replica of this shape can serve, and is None when one can.
    """

    weights_bytes: float
    activation_bytes: float
    overhead_bytes: float
    kv_bytes: float
    kv_blocks: int
    kv_tokens: int
    reason: str | None


def memory_plan(
    model: ModelCard,
    gpu: GpuCard,
    *,
    tp: int,
    pp: int,
    weights: str,
    kv_cache: str,
    engine: Engine,
    max_model_len: int,
) -> MemoryPlan:
    """Divide the memory of one GPU of a replica with `tp` tensor and `pp` pipeline parallelism.

    Every layer's cache is counted in full, windowed layers too, which is what vLLM does without
    its hybrid allocator: with sliding windows the cache holds more than is said here.
    """
    usable = (gpu.memory_gib - DRIVER_GIB) * engine.gpu_memory_utilization * GIB
    held = weights_bytes(model, tp, pp, weights)
    activation = _activation_bytes(model, tp, engine)
    overhead = RUNTIME_GIB * GIB
    free = max(0.0, usable - held - activation - overhead)
    layers = math.ceil(model.num_hidden_layers / pp)
    token_bytes = layers * kv_elements(model, tp) * KV_BYTES[kv_cache]
    blocks = int(free // (token_bytes * engine.block_size))
    tokens = blocks * engine.block_size
    room = f"{gpu.name} has {usable / GIB:.1f} GiB at {engine.gpu_memory_utilization:g}"
    reason = None
    if held > usable:
        reason = f"needs {held / GIB:.1f} GiB of weights per GPU, {room}"
    elif held + activation + overhead >= usable:
        reason = (
            f"needs {held / GIB:.1f} GiB of weights and {(activation + overhead) / GIB:.1f} GiB of "
            f"reserve per GPU, {room}"
        )
    elif tokens < max_model_len:
        reason = f"has a KV cache of {tokens} tokens, a request can be {max_model_len}"
    return MemoryPlan(held, activation, overhead, free, blocks, tokens, reason)


def weights_bytes(model: ModelCard, tp: int, pp: int, weights: str) -> float:
    """Bytes of weights on the fullest GPU; embeddings and output head stay in bf16.

    Layers are dealt evenly over stages; the first holds the embedding and the last the head.
    """
    shape = layer_shape(model, tp)
    layers = math.ceil(model.num_hidden_layers / pp)
    table = model.vocab_size * model.hidden_size / tp * 2.0
    tables = table if model.tie_word_embeddings or pp > 1 else 2.0 * table
    return layers * (shape.matrices + shape.experts) * WEIGHT_BYTES[weights] + tables


def _activation_bytes(model: ModelCard, tp: int, engine: Engine) -> float:
    """Peak of the profiling run: the widest layer on a full batch, then sampling."""
    inner = model.intermediate_size if model.dense_layers or not model.num_experts else 0
    sparse = (
        model.num_experts_per_tok * model.moe_intermediate_size
        + model.shared_expert_intermediate_size
    )
    scattered = model.hidden_size * model.num_experts_per_tok if model.num_experts else 0
    per_token = model.hidden_size + 3.0 * max(inner, sparse) / tp + scattered
    tokens = engine.max_num_batched_tokens * per_token * 2.0
    return tokens + engine.max_num_seqs * model.vocab_size * SAMPLER_BYTES
