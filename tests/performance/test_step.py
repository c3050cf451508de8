from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.performance import step


def reference_s(costs: np.ndarray, tokens: float, sequences: float) -> float:
    """The formulas of docs/performance.md, written out."""

    def rounded_max(a: float, b: float) -> float:
        return (a**4 + b**4) ** 0.25

    dense = rounded_max(costs[step.TOKEN_S] * tokens, costs[step.WEIGHT_S])
    head = rounded_max(costs[step.HEAD_SEQUENCE_S] * sequences, costs[step.HEAD_WEIGHT_S])
    experts = 0.0
    if costs[step.EXPERT_WEIGHT_S]:
        touched = 1 - math.exp(costs[step.EXPERT_LOG_MISS]) ** tokens
        experts = rounded_max(
            costs[step.EXPERT_TOKEN_S] * tokens, costs[step.EXPERT_WEIGHT_S] * touched
        )
    linear = costs[step.LINEAR_TOKEN_S] * tokens + costs[step.SEQUENCE_S] * sequences
    links = 0.0
    for limit, floor, slope in (
        (step.LINK_A_TOKENS, step.LINK_A_S, step.LINK_A_TOKEN_S),
        (step.LINK_B_TOKENS, step.LINK_B_S, step.LINK_B_TOKEN_S),
    ):
        if tokens > costs[limit] > 0:
            links += costs[floor] + costs[slope] * tokens
    mixed = costs[step.MIXED_S] * sequences * max(0.0, tokens - sequences)
    device = dense + head + experts + linear + links + mixed + costs[step.FLOOR_S]
    return max(device, costs[step.HOST_S] + costs[step.HOST_SEQUENCE_S] * sequences)


limits = st.one_of(st.just(0.0), st.floats(1, 10_000))
records = st.builds(
    lambda values, first, second: _record(np.array(values), first, second),
    st.lists(st.floats(1e-9, 1e-2), min_size=step.N_COSTS, max_size=step.N_COSTS),
    limits,
    limits,
)


def _record(costs: np.ndarray, first: float, second: float) -> np.ndarray:
    costs[step.EXPERT_LOG_MISS] = -0.05
    costs[step.LINK_A_TOKENS], costs[step.LINK_B_TOKENS] = first, second
    return costs


@given(records, st.integers(1, 16384), st.integers(0, 512))
def test_kernel_agrees_with_the_formulas(costs, tokens, sequences):
    assert step.step_fixed_s(costs, tokens, sequences) == pytest.approx(
        reference_s(costs, tokens, sequences), rel=1e-9
    )


@given(records, st.integers(1, 16384), st.integers(0, 512))
def test_time_and_energy_grow_with_tokens_and_sequences(costs, tokens, sequences):
    # With the tokens as they are, one sequence more is one token of a prompt less.
    costs[step.MIXED_S] = 0.0
    for cost in (step.step_fixed_s, step.step_fixed_j):
        assert cost(costs, tokens + 1, sequences) >= cost(costs, tokens, sequences)
        assert cost(costs, tokens, sequences + 1) >= cost(costs, tokens, sequences)


def test_a_dense_model_reads_no_experts():
    costs = np.zeros(step.N_COSTS)
    costs[step.TOKEN_S], costs[step.WEIGHT_S] = 1e-6, 1e-3
    assert step.step_fixed_s(costs, 1, 1) == pytest.approx(1e-3)
    assert step.step_fixed_s(costs, 1e5, 1) == pytest.approx(0.1)


def test_a_host_that_is_slower_than_the_gpu_sets_the_pace():
    costs = np.zeros(step.N_COSTS)
    costs[step.WEIGHT_S], costs[step.HOST_S], costs[step.HOST_SEQUENCE_S] = 2e-3, 1e-3, 1e-4
    assert step.step_fixed_s(costs, 1, 1) == pytest.approx(2e-3)
    assert step.step_fixed_s(costs, 64, 64) == pytest.approx(1e-3 + 64e-4)
    costs[step.BUSY_W] = 100.0
    assert step.step_fixed_j(costs, 64, 64) == pytest.approx(0.2)
