"""From a model, a GPU type and a parallelism to the numbers that the simulator runs on.

The formulas of step time and energy meet the coefficients here; docs/performance.md derives them.
Where the replica was measured, what was measured stands in for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from boute.performance import step
from boute.performance.coefficients import StepCoefficients, load_coefficients, load_host
from boute.performance.energy import add_energy
from boute.performance.measured import MeasuredEntry, ReplicaKey, find_entry, measured_costs
from boute.performance.memory import KV_BYTES, WEIGHT_BYTES, kv_reason, memory_plan
from boute.performance.power import load_power
from boute.performance.replica import Replica
from boute.performance.shapes import LayerShape, layer_shape, mean_context_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from boute.profiles.gpu import GpuCard
    from boute.profiles.model import ModelCard
    from boute.spec.family import ModelChoice
    from boute.spec.model import Engine

__all__ = ["build_replica", "stage_costs"]

ACTIVATION_BYTES = 2.0
# Grouped GEMMs over experts run below a dense one of the same size. Assumed, not fitted.
EXPERT_GEMM = 0.7
# Multiplications of a layer: queries, keys and values at once; output; gate and up at once; down.
MATRICES = 4
# Logits of a sequence: written in bf16, made fp32, and read for their largest.
SAMPLED_BYTES = 12.0


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
        costs = measured_costs(entry.times, (gpu.peak_w - gpu.idle_w) * tp, load_power(gpu.name))
        error = entry.held_out.stated_error
    else:
        known = load_coefficients(gpu.name, pcie=gpu.interconnect.topology == "pcie")
        costs = stage_costs(
            model,
            gpu,
            choice,
            known,
            tp=tp,
            pp=pp,
            max_model_len=max_model_len,
            ahead=_scheduled_ahead(engine, gpu),
        )
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
        energy_error=load_power(gpu.name).error,
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
    ahead: bool = True,
) -> NDArray[np.float64]:
    """The record [N_COSTS] of the longest of `pp` stages; the output head is shared out evenly.

    `ahead` says whether the engine schedules a step while the one before runs.
    """
    shape = layer_shape(model, tp)
    layers = math.ceil(model.num_hidden_layers / pp)
    share = mean_context_share(model, max_model_len)
    attention = gpu.bf16_tflops * 1e12 * coefficients.attention
    kv = coefficients.kv_fp8 if choice.kv_cache == "fp8" else coefficients.kv
    cache_s = shape.kv_elements * KV_BYTES[choice.kv_cache] / (gpu.bandwidth_gb_s * 1e9 * kv)

    costs = np.zeros(step.N_COSTS)
    launches = _add_matrices(costs, model, gpu, choice, coefficients, shape=shape, layers=layers)
    costs[step.FLOOR_S] = (launches + coefficients.layer_us * layers) * 1e-6
    costs[step.SEQUENCE_S] += coefficients.layer_sequence_us * layers * 1e-6
    _add_head(costs, model, gpu, coefficients, parts=tp * pp)
    costs[step.LINEAR_TOKEN_S] += layers * _between_s(shape, gpu, coefficients)
    _add_links(costs, model, gpu, coefficients, tp=tp, pp=pp, layers=layers)
    _add_host(costs, pp=pp, ahead=ahead)
    costs[step.PAIR_S] = shape.pair_flops * layers * share / attention
    costs[step.CONTEXT_S] = layers * share * max(cache_s, shape.read_flops / attention)
    apart_s = coefficients.mixed_rows * costs[step.PAIR_S]
    costs[step.MIXED_CONTEXT_S] = max(0.0, apart_s - costs[step.CONTEXT_S])
    heads = model.num_attention_heads / tp
    costs[step.MIXED_S] = coefficients.mixed_tile_ps * 1e-12 * heads * layers
    token_s = float(costs[step.TOKEN_S] + costs[step.EXPERT_TOKEN_S])
    add_energy(costs, (gpu.peak_w - gpu.idle_w) * tp, load_power(gpu.name), token_s=token_s)
    return costs


def _add_matrices(
    costs: NDArray[np.float64],
    model: ModelCard,
    gpu: GpuCard,
    choice: ModelChoice,
    coefficients: StepCoefficients,
    *,
    shape: LayerShape,
    layers: int,
) -> float:
    """Write the layers' matrices into the record; microseconds of their launches.

    Weights below the bf16 rate of the card, int4 everywhere, are multiplied at that rate.
    """
    in_fp8 = choice.weights == "fp8" and gpu.fp8_tflops is not None
    known = coefficients.fp8 if in_fp8 else coefficients.bf16
    tflops = gpu.fp8_tflops if in_fp8 and gpu.fp8_tflops is not None else gpu.bf16_tflops
    rate = tflops * 1e12 * known.rate
    memory = gpu.bandwidth_gb_s * 1e9 * known.memory
    weight_bytes = layers * WEIGHT_BYTES[choice.weights]
    costs[step.TOKEN_S] = 2.0 * shape.matrices * layers / rate
    costs[step.WEIGHT_S] = shape.matrices * weight_bytes / memory
    if model.is_moe:
        costs[step.EXPERT_TOKEN_S] = 2.0 * shape.experts_used * layers / (rate * EXPERT_GEMM)
        costs[step.EXPERT_WEIGHT_S] = shape.experts * weight_bytes / memory
        # With every expert chosen none is ever missed: log 0 is stood in for by a large number.
        missed = 1.0 - model.num_experts_per_tok / model.num_experts
        costs[step.EXPERT_LOG_MISS] = math.log(max(missed, 1e-9))
    # fp8: activations are read in bf16, written in fp8 and read again.
    moved = shape.inputs * (4.0 if in_fp8 else 2.0) + shape.outputs * 2.0
    costs[step.LINEAR_TOKEN_S] = layers * moved / (gpu.bandwidth_gb_s * 1e9 * known.stream)
    return MATRICES * layers * known.launch_us


def _add_head(
    costs: NDArray[np.float64],
    model: ModelCard,
    gpu: GpuCard,
    coefficients: StepCoefficients,
    *,
    parts: int,
) -> None:
    """The output head in bf16, of which every GPU holds one of `parts`, and sampling after it."""
    head = model.hidden_size * model.vocab_size / parts
    memory = gpu.bandwidth_gb_s * 1e9 * coefficients.bf16.memory
    costs[step.HEAD_SEQUENCE_S] = 2.0 * head / (gpu.bf16_tflops * 1e12 * coefficients.bf16.rate)
    costs[step.HEAD_WEIGHT_S] = ACTIVATION_BYTES * head / memory
    costs[step.FLOOR_S] += coefficients.bf16.launch_us * 1e-6
    costs[step.SEQUENCE_S] += SAMPLED_BYTES * model.vocab_size / memory


def _between_s(shape: LayerShape, gpu: GpuCard, coefficients: StepCoefficients) -> float:
    """Seconds that a token takes in one layer outside matrices: small kernels and attention."""
    bandwidth = gpu.bandwidth_gb_s * 1e9
    small_s = ACTIVATION_BYTES * shape.between / (bandwidth * coefficients.bf16.memory)
    return small_s + 2.0 * ACTIVATION_BYTES * shape.width / (
        bandwidth * coefficients.attention_stream
    )


def _add_host(costs: NDArray[np.float64], *, pp: int, ahead: bool) -> None:
    """The host's share: all of every step, or what shows of it when it works ahead."""
    host = load_host()
    if ahead:
        costs[step.HOST_S] = host.step_us * 1e-6
        costs[step.HOST_SEQUENCE_S] = host.sequence_us * 1e-6
        costs[step.FLOOR_S] += host.gap_us * 1e-6
    else:
        costs[step.FLOOR_S] += host.step_us * 1e-6
        costs[step.SEQUENCE_S] += host.sequence_us / pp * 1e-6


def _add_links(
    costs: NDArray[np.float64],
    model: ModelCard,
    gpu: GpuCard,
    coefficients: StepCoefficients,
    *,
    tp: int,
    pp: int,
    layers: int,
) -> None:
    """What all-reduce and hand-over take in one stage.

    Two all-reduces a layer, each moving 2 (tp - 1) / tp of its bytes over every GPU's link.
    """
    link = gpu.interconnect
    token_bytes = model.hidden_size * ACTIVATION_BYTES
    if pp > 1:
        piece = coefficients.link(2)[-1]
        rate = link.group_bandwidth_gb_s(tp * pp) * 1e9 * piece.share
        costs[step.LINEAR_TOKEN_S] += token_bytes / rate
        costs[step.FLOOR_S] += link.latency_us * 1e-6
    if tp == 1:
        return
    ring_s = 2.0 * (tp - 1) / tp * token_bytes / (link.group_bandwidth_gb_s(tp) * 1e9)
    pieces = coefficients.link(tp)
    times = [(2e-6 * layers * p.latency_us, 2.0 * layers * ring_s / p.share) for p in pieces]
    costs[step.FLOOR_S] += times[0][0]
    costs[step.LINEAR_TOKEN_S] += times[0][1]
    slots = (
        (step.LINK_A_TOKENS, step.LINK_A_S, step.LINK_A_TOKEN_S),
        (step.LINK_B_TOKENS, step.LINK_B_S, step.LINK_B_TOKEN_S),
    )
    for slot, piece, before, after in zip(slots, pieces, times, times[1:], strict=False):
        limit_mib = piece.up_to_mib
        assert limit_mib is not None, "the coefficients' file is checked for it"
        costs[slot[0]] = limit_mib * 2**20 / token_bytes
        costs[slot[1]] = after[0] - before[0]
        costs[slot[2]] = after[1] - before[1]


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
