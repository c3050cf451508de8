"""From a model, a GPU type and a parallelism to the numbers that the simulator runs on.

The formulas of step time and energy meet the coefficients here; docs/performance.md derives them.
Where the replica was measured, what was measured stands in for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from boute.performance import step
from boute.performance.coefficients import StepCoefficients, load_coefficients
from boute.performance.energy import add_energy
from boute.performance.measured import MeasuredEntry, ReplicaKey, find_entry, measured_costs
from boute.performance.memory import KV_BYTES, WEIGHT_BYTES, kv_reason, memory_plan
from boute.performance.replica import Replica
from boute.performance.shapes import layer_shape, mean_context_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from boute.profiles.gpu import GpuCard
    from boute.profiles.model import ModelCard
    from boute.spec.model import Engine, ModelChoice

__all__ = ["allreduce_latency_us", "build_replica", "stage_costs"]

ACTIVATION_BYTES = 2.0
# Grouped GEMMs over experts run below a dense one of the same size. Assumed, not fitted.
EXPERT_GEMM = 0.7


def build_replica(
    model: ModelCard,
    gpu: GpuCard,
    choice: ModelChoice,
    engine: Engine,
    *,
    tensor_parallel: int,
    pipeline_parallel: int,
    max_model_len: int,
    measured: Sequence[MeasuredEntry] = (),
) -> Replica | str:
    """The replica, or the reason why it cannot exist.

    It stays inside one node, tensor parallelism is a power of two that divides the query heads,
    and its KV cache holds at least one request of `max_model_len` tokens. An entry of `measured`
    that is of this very replica replaces the formulas of time, and of the cache if it tells it.
    """
    tp, pp = tensor_parallel, pipeline_parallel
    reason = _shape_reason(model, gpu, tp, pp, max_model_len)
    if reason is not None:
        return reason
    key = ReplicaKey(gpu.name, model.name, choice.weights, choice.kv_cache, tp, pp)
    entry = find_entry(measured, key)
    kv_blocks = _kv_blocks(model, gpu, choice, engine, entry, tp=tp, pp=pp, longest=max_model_len)
    if isinstance(kv_blocks, str):
        return kv_blocks
    if entry is not None:
        costs = measured_costs(entry.times, (gpu.peak_w - gpu.idle_w) * tp)
        error = entry.held_out.stated_error
    else:
        known = load_coefficients(gpu.name, pcie=gpu.interconnect.topology == "pcie")
        costs = stage_costs(model, gpu, choice, known, tp=tp, pp=pp, max_model_len=max_model_len)
        error = max(known.tpot_error, known.ttft_error)
    return Replica(
        costs=costs,
        stages=pp,
        kv_blocks=kv_blocks,
        block_size=engine.block_size,
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        gpus=tp * pp,
        idle_w=gpu.idle_w * tp * pp,
        latency_error=error,
        request_s=entry.times.request_s if entry is not None else 0.0,
        async_scheduling=_scheduled_ahead(engine, gpu),
    )


def _scheduled_ahead(engine: Engine, gpu: GpuCard) -> bool:
    """What the spec says; else vLLM's default on GPUs and ours on CPUs."""
    if engine.async_scheduling is None:
        return gpu.vendor != "cpu"
    return engine.async_scheduling


def _kv_blocks(
    model: ModelCard,
    gpu: GpuCard,
    choice: ModelChoice,
    engine: Engine,
    entry: MeasuredEntry | None,
    *,
    tp: int,
    pp: int,
    longest: int,
) -> int | str:
    """Blocks of KV cache, or why a request of `longest` tokens does not fit."""
    if entry is not None and entry.kv_tokens is not None:
        blocks = entry.kv_tokens // engine.block_size
        reason = kv_reason(blocks * engine.block_size, longest)
        return blocks if reason is None else reason
    plan = memory_plan(
        model,
        gpu,
        tp=tp,
        pp=pp,
        weights=choice.weights,
        kv_cache=choice.kv_cache,
        engine=engine,
        max_model_len=longest,
    )
    return plan.kv_blocks if plan.reason is None else plan.reason


def stage_costs(
    model: ModelCard,
    gpu: GpuCard,
    choice: ModelChoice,
    coefficients: StepCoefficients,
    *,
    tp: int,
    pp: int,
    max_model_len: int,
) -> NDArray[np.float64]:
    """The record [N_COSTS] of the longest of `pp` stages; the output head is shared out evenly."""
    shape = layer_shape(model, tp)
    layers = math.ceil(model.num_hidden_layers / pp)
    bf16 = gpu.bf16_tflops * 1e12 * coefficients.gemm
    gemm = bf16
    if choice.weights == "fp8" and gpu.fp8_tflops is not None:
        gemm = gpu.fp8_tflops * 1e12 * coefficients.fp8_gemm
    attention = gpu.bf16_tflops * 1e12 * coefficients.attention
    memory = gpu.bandwidth_gb_s * 1e9 * coefficients.memory
    cache = gpu.bandwidth_gb_s * 1e9 * coefficients.kv
    weight_bytes = layers * WEIGHT_BYTES[choice.weights]
    head = model.hidden_size * model.vocab_size / tp / pp
    share = mean_context_share(model, max_model_len)
    link_token_s, link_floor_s = _links(model, gpu, coefficients, tp=tp, pp=pp, layers=layers)

    costs = np.zeros(step.N_COSTS)
    costs[step.TOKEN_S] = 2.0 * shape.matrices * layers / gemm
    costs[step.WEIGHT_S] = shape.matrices * weight_bytes / memory
    if model.is_moe:
        costs[step.EXPERT_TOKEN_S] = 2.0 * shape.experts_used * layers / (gemm * EXPERT_GEMM)
        costs[step.EXPERT_WEIGHT_S] = shape.experts * weight_bytes / memory
        # With every expert chosen none is ever missed: log 0 is stood in for by a large number.
        missed = 1.0 - model.num_experts_per_tok / model.num_experts
        costs[step.EXPERT_LOG_MISS] = math.log(max(missed, 1e-9))
    costs[step.HEAD_SEQUENCE_S] = 2.0 * head / bf16
    costs[step.HEAD_WEIGHT_S] = ACTIVATION_BYTES * head / memory
    costs[step.LINEAR_TOKEN_S] = (
        shape.activations * layers * ACTIVATION_BYTES / memory + link_token_s
    )
    costs[step.SEQUENCE_S] = coefficients.sequence_us * 1e-6 / pp
    costs[step.FLOOR_S] = (
        coefficients.step_us + layers * coefficients.layer_us
    ) * 1e-6 + link_floor_s
    costs[step.PAIR_S] = shape.pair_flops * layers * share / attention
    costs[step.CONTEXT_S] = (
        layers
        * share
        * max(shape.kv_elements * KV_BYTES[choice.kv_cache] / cache, shape.read_flops / attention)
    )
    token_s = float(costs[step.TOKEN_S] + costs[step.EXPERT_TOKEN_S])
    add_energy(costs, (gpu.peak_w - gpu.idle_w) * tp, token_s=token_s)
    return costs


def _links(
    model: ModelCard,
    gpu: GpuCard,
    coefficients: StepCoefficients,
    *,
    tp: int,
    pp: int,
    layers: int,
) -> tuple[float, float]:
    """Seconds per token and per step that all-reduce and hand-over take in one stage.

    Two all-reduces a layer, each moving 2 (tp - 1) / tp of its bytes over every GPU's link.
    """
    link = gpu.interconnect
    token_bytes = model.hidden_size * ACTIVATION_BYTES
    token_s, floor_s = 0.0, 0.0
    if tp > 1:
        rate = link.group_bandwidth_gb_s(tp) * 1e9 * coefficients.link_efficiency(tp)
        token_s += 2.0 * layers * (2.0 * (tp - 1) / tp) * token_bytes / rate
        floor_s += 2.0 * layers * allreduce_latency_us(gpu, tp) * 1e-6
    if pp > 1:
        rate = link.group_bandwidth_gb_s(tp * pp) * 1e9 * coefficients.link_efficiency(2)
        token_s += token_bytes / rate
        floor_s += link.latency_us * 1e-6
    return token_s, floor_s


def allreduce_latency_us(gpu: GpuCard, group: int) -> float:
    """Latency of a small all-reduce.

    A switch makes it independent of the group; over PCIe it grows with it, and cards state it for
    four GPUs (on L40S 5.4, 13.3 and 25.0 us for 2, 4 and 8, AIConfigurator's vLLM kernels); past
    an NVLink pair it doubles.
    """
    latency_us = gpu.interconnect.latency_us
    if gpu.interconnect.topology == "pcie":
        return latency_us * group / 4.0
    if gpu.interconnect.topology == "nvlink-pairs":
        return latency_us * max(1.0, group / 2.0)
    return latency_us


def _shape_reason(
    model: ModelCard, gpu: GpuCard, tp: int, pp: int, max_model_len: int
) -> str | None:
    """Why this parallelism cannot be, leaving memory aside."""
    longest = model.max_position_embeddings
    checks = {
        f"tensor parallelism should be a power of two, it is {tp}": tp < 1 or tp & (tp - 1) != 0,
        f"pipeline parallelism should be at least 1, it is {pp}": pp < 1,
        f"needs {tp * pp} GPUs in one node, a node of {gpu.name} has {gpu.node_gpus}": (
            tp * pp > gpu.node_gpus
        ),
        f"{model.num_attention_heads} attention heads cannot be split over {tp} GPUs": (
            model.num_attention_heads % max(tp, 1) != 0
        ),
        f"{model.num_hidden_layers} layers cannot be split into {pp} stages": (
            pp > model.num_hidden_layers
        ),
        f"a request can be {max_model_len} tokens, {model.name} takes {longest}": (
            max_model_len > longest
        ),
    }
    return next((reason for reason, broken in checks.items() if broken), None)
