"""What fits on the GPUs of a replica: weights, reserves and the blocks left for the KV cache.

Follows how vLLM divides a GPU: of `gpu_memory_utilization` times the memory, weights come first,
then the peak of its profiling run, and the rest is cache. That peak is the sampler's for all but
small vocabularies. It was calibrated on four start-ups (weights, reserve and cache in GiB): on one
H100, with vLLM's defaults there of 8192 tokens and 1024 sequences, Llama-3.1-8B 14.99, 4.76, 51.38;
Llama-3.3-70B-FP8 at tensor parallel 2, per GPU, 33.88, 4.84, 32.0; Qwen3-32B 61.03, 5.64, 4.45; and
on an RTX 4090 with 2048 tokens and 256 sequences Llama-3.1-8B with a cache of 5.05
(LLMServingSim 5daddb2). CUDA graphs come on top of what vLLM is given and are not counted.
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

__all__ = ["GIB", "KV_BYTES", "WEIGHT_BYTES", "MemoryPlan", "kv_reason", "memory_plan"]

GIB = 2.0**30
# Four-bit weights carry a 16-bit scale and zero for each group of 128 (GPTQ, AWQ).
WEIGHT_BYTES = {"bf16": 2.0, "fp8": 1.0, "int4": 0.5 + 4.0 / 128}
KV_BYTES = {"bf16": 2.0, "fp8": 1.0}
# What nvidia-smi counts as memory and CUDA does not offer (81559 MiB against 79.1 GiB on H100).
DRIVER_GIB = 0.5
# Sampling a dummy batch: logits, softmax, sorted values and indices, running sums and masks come to
# ten fp32 copies of sequences x vocabulary.
SAMPLER_BYTES = 39.0


@dataclass(frozen=True)
class MemoryPlan:
    """The fullest GPU of a replica, in bytes; `kv_blocks` hold `kv_tokens` tokens.

    `overhead_bytes` is what the driver keeps.

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
    # The memory of a CPU slot is what the card gives it; there is no driver to share it with.
    overhead = 0.0 if gpu.vendor == "cpu" else min(DRIVER_GIB, gpu.memory_gib) * GIB
    usable = (gpu.memory_gib * GIB - overhead) * engine.gpu_memory_utilization
    held = weights_bytes(model, tp, pp, weights)
    activation = _activation_bytes(model, tp, engine)
    free = max(0.0, usable - held - activation)
    layers = math.ceil(model.num_hidden_layers / pp)
    token_bytes = layers * kv_elements(model, tp) * KV_BYTES[kv_cache]
    blocks = int(free // (token_bytes * engine.block_size))
    tokens = blocks * engine.block_size
    room = f"{gpu.name} has {usable / GIB:.1f} GiB at {engine.gpu_memory_utilization:g}"
    reason = None
    if held > usable:
        reason = f"needs {held / GIB:.1f} GiB of weights per GPU, {room}"
    elif held + activation >= usable:
        reason = (
            f"needs {held / GIB:.1f} GiB of weights and {activation / GIB:.1f} GiB of "
            f"reserve per GPU, {room}"
        )
    else:
        reason = kv_reason(tokens, max_model_len)
    return MemoryPlan(held, activation, overhead, free, blocks, tokens, reason)


def kv_reason(kv_tokens: int, max_model_len: int) -> str | None:
    """Why a cache of `kv_tokens` tokens is too small for the longest request, or None."""
    if kv_tokens >= max_model_len:
        return None
    return f"has a KV cache of {kv_tokens} tokens, a request can be {max_model_len}"


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
    """Peak of the profiling run: the widest layer on a full batch, or sampling after it."""
    inner = model.intermediate_size if model.dense_layers or not model.num_experts else 0
    sparse = (
        model.num_experts_per_tok * model.moe_intermediate_size
        + model.shared_expert_intermediate_size
    )
    scattered = model.hidden_size * model.num_experts_per_tok if model.num_experts else 0
    per_token = model.hidden_size + 3.0 * max(inner, sparse) / tp + scattered
    forward = engine.max_num_batched_tokens * per_token * 2.0
    return max(forward, engine.max_num_seqs * model.vocab_size * SAMPLER_BYTES)
