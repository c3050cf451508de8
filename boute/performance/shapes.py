"""Sizes of a model as one GPU of a tensor-parallel group sees them, in parameters and elements.

Counts the matrices that are multiplied and held, from the fields of a Hugging Face config; norms
and biases are below a thousandth of the whole and left out. Bytes and seconds are not made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boute.profiles.model import ModelCard

__all__ = ["LayerShape", "layer_shape", "mean_context_share"]


@dataclass(frozen=True)
class LayerShape:
    """The mean layer of a model, per GPU of a group of `tp`.

    Parameters: `matrices` every token passes, `experts` held in all, `experts_used` by one token.
    Elements of one token: `inputs` and `outputs` of its matrices, what other kernels move
    `between` them, and the `width` of its queries. `pair_flops` is the arithmetic of one query-key
    pair in prefill and `read_flops` in decode, `kv_elements` the cache of one token.
    """

    matrices: float
    experts: float
    experts_used: float
    inputs: float
    outputs: float
    between: float
    width: float
    pair_flops: float
    read_flops: float
    kv_elements: float


def layer_shape(model: ModelCard, tp: int) -> LayerShape:
    """Shape of the mean layer (dense and expert layers averaged) on one of `tp` GPUs.

    Tensor parallelism splits query heads and the inner width; key-value heads are split until one
    is left per GPU and repeated from there, and the latent cache of MLA is held by every GPU.
    """
    layers = model.num_hidden_layers
    dense = model.dense_layers if model.num_experts else layers
    sparse = (layers - dense) / layers
    hidden = model.hidden_size
    inner = (
        model.intermediate_size * dense / layers + model.shared_expert_intermediate_size * sparse
    ) / tp
    expert = 3.0 * hidden * model.moe_intermediate_size / tp * sparse
    router = hidden * model.num_experts * sparse
    used = model.num_experts_per_tok * sparse
    expert_inner = used * model.moe_intermediate_size / tp
    attention = _attention(model, tp)
    return LayerShape(
        matrices=attention.parameters + 3.0 * hidden * inner + router,
        experts=expert * model.num_experts,
        experts_used=expert * model.num_experts_per_tok,
        inputs=attention.inputs + hidden * (1.0 - sparse + used) + inner + expert_inner,
        outputs=attention.outputs + hidden * (1.0 - sparse + used) + 2.0 * (inner + expert_inner),
        # Two norms that add to the residual, rotary, the write into the cache, the gated product.
        between=8.0 * hidden + 2.0 * attention.width + 3.0 * (inner + expert_inner),
        width=attention.width,
        pair_flops=attention.pair_flops,
        read_flops=_read_flops(model, tp),
        kv_elements=kv_elements(model, tp),
    )


def kv_elements(model: ModelCard, tp: int) -> float:
    """Elements that one token caches in one layer on one of `tp` GPUs."""
    if model.kv_lora_rank:
        return float(model.kv_lora_rank + model.qk_rope_head_dim)
    return 2.0 * max(model.num_key_value_heads / tp, 1.0) * model.head_dim


def mean_context_share(model: ModelCard, max_model_len: int) -> float:
    """Share of the attention work that is left when some layers see a window only.

    The cost of a step is linear in context, so a windowed layer gets one factor: what a window
    leaves of a context of half the longest request. It is low by up to a half for shorter
    requests and high for longer ones, in the windowed layers' attention alone.
    """
    if not model.sliding_window:
        return 1.0
    windowed = model.sliding_window_layers / model.num_hidden_layers
    seen = min(1.0, 2.0 * model.sliding_window / max_model_len)
    return 1.0 - windowed * (1.0 - seen)


def _read_flops(model: ModelCard, tp: int) -> float:
    """FLOPs of a decode per cached token; MLA attends in the latent space (arXiv:2405.04434)."""
    heads = model.num_attention_heads / tp
    if model.kv_lora_rank:
        return 2.0 * heads * (2.0 * model.kv_lora_rank + model.qk_rope_head_dim)
    return 4.0 * heads * model.head_dim


@dataclass(frozen=True)
class _Attention:
    """The part of a layer before the MLP: fields as those of LayerShape."""

    parameters: float
    inputs: float
    outputs: float
    width: float
    pair_flops: float


def _attention(model: ModelCard, tp: int) -> _Attention:
    hidden = model.hidden_size
    heads = model.num_attention_heads / tp
    if not model.kv_lora_rank:
        cached = kv_elements(model, tp)
        width = heads * model.head_dim
        return _Attention(
            parameters=hidden * (2.0 * width + cached),
            inputs=hidden + width,
            outputs=width + cached + hidden,
            width=width,
            pair_flops=4.0 * width,
        )
    key = model.qk_nope_head_dim + model.qk_rope_head_dim
    value, rank = model.v_head_dim, model.kv_lora_rank
    query = (
        model.q_lora_rank * (hidden + heads * key) if model.q_lora_rank else hidden * heads * key
    )
    latent = hidden * (rank + model.qk_rope_head_dim)
    up = rank * heads * (model.qk_nope_head_dim + value)
    return _Attention(
        parameters=query + latent + up + heads * value * hidden,
        inputs=2.0 * hidden + model.q_lora_rank + rank + heads * value,
        outputs=model.q_lora_rank + 2.0 * heads * key + rank + heads * value + hidden,
        width=heads * key,
        pair_flops=2.0 * heads * (key + value),
    )
