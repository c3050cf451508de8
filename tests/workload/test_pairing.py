"""Pairing is balanced, seeded, and gives each model its own output length."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.workload.arrays import Floats, Trace
from boute.workload.pairing import MAX_RATIO, longest_possible, pair, pair_routed


def trace_of(count: int, seed: int = 0) -> Trace:
    rng = np.random.default_rng(seed)
    return Trace(
        "any",
        np.arange(count, dtype=float),
        rng.integers(1, 5000, count),
        rng.integers(1, 900, count),
        float(count),
    )


def table_of(rows: int, models: int, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return rng.random(rows), 1.0 + 400.0 * rng.random((rows, models))


def names(count: int) -> list[str]:
    return [f"m{k}" for k in range(count)]


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 300),
    rows=st.integers(1, 90),
    models=st.integers(1, 4),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_row_is_used_as_equally_as_can_be(
    count: int, rows: int, models: int, seed: int
) -> None:
    score, lengths = table_of(rows, models)
    paired = pair(trace_of(count), names(models), score, lengths, output_length="scaled", seed=seed)
    used = np.bincount(paired.row, minlength=rows)
    assert used.max() - used.min() <= 1
    assert len(paired) == count
    np.testing.assert_array_equal(paired.score, score[paired.row])
    assert paired.output_tokens.shape == (count, models)
    assert paired.output_tokens.min() >= 1
    again = pair(trace_of(count), names(models), score, lengths, output_length="scaled", seed=seed)
    assert paired.row.tobytes() == again.row.tobytes()
    assert paired.output_tokens.tobytes() == again.output_tokens.tobytes()


def test_requests_keep_their_arrivals_and_inputs() -> None:
    trace = trace_of(50)
    score, lengths = table_of(7, 2)
    paired = pair(trace, names(2), score, lengths, output_length="table", seed=0)
    np.testing.assert_array_equal(paired.arrival_s, trace.arrival_s)
    np.testing.assert_array_equal(paired.input_tokens, trace.input_tokens)
    assert paired.duration_s == trace.duration_s
    assert paired.models == ("m0", "m1")


def test_another_seed_pairs_otherwise() -> None:
    score, lengths = table_of(40, 2)
    a, b = (
        pair(trace_of(40), names(2), score, lengths, output_length="scaled", seed=seed)
        for seed in (1, 2)
    )
    assert a.row.tolist() != b.row.tolist()


def test_each_round_has_its_own_order() -> None:
    score, lengths = table_of(40, 2)
    row = pair(trace_of(80), names(2), score, lengths, output_length="scaled", seed=1).row
    assert row[:40].tolist() != row[40:].tolist()


def test_table_lengths_are_the_tables_rounded() -> None:
    score, lengths = table_of(9, 3)
    paired = pair(trace_of(30), names(3), score, lengths, output_length="table", seed=0)
    np.testing.assert_array_equal(paired.output_tokens, np.rint(lengths[paired.row]))


def test_scaled_lengths_against_a_plain_loop() -> None:
    trace = trace_of(60)
    score, lengths = table_of(13, 3)
    lengths[0] = [1.0, 1.0, 4000.0]
    lengths[1] = [1.0, 900.0, 900.0]
    paired = pair(trace, names(3), score, lengths, output_length="scaled", seed=0)
    for n in range(60):
        row = lengths[paired.row[n]]
        for k in range(3):
            ratio = min(max(row[k] / (sum(row) / 3), 1 / MAX_RATIO), MAX_RATIO)
            expected = max(1, round(float(trace.output_tokens[n]) * ratio))
            assert paired.output_tokens[n, k] == pytest.approx(expected, abs=1)


def test_models_of_one_length_keep_the_trace() -> None:
    trace = trace_of(25)
    paired = pair(
        trace, names(2), np.zeros(5), np.full((5, 2), 77.0), output_length="scaled", seed=3
    )
    np.testing.assert_array_equal(paired.output_tokens, trace.output_tokens[:, None].repeat(2, 1))


def test_a_table_of_another_family_is_a_mistake() -> None:
    score, lengths = table_of(5, 2)
    with pytest.raises(ValueError, match="a column for each model"):
        pair(trace_of(5), names(3), score, lengths, output_length="scaled", seed=0)


@pytest.mark.parametrize("output_length", ["scaled", "table"])
def test_a_routed_pairing_is_the_column_of_the_chosen_models(
    output_length: Literal["scaled", "table"],
) -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 400, 500)
    trace = Trace("made", np.arange(500.0), tokens, tokens[::-1].copy(), 500.0)
    score, lengths = rng.random(37), rng.integers(1, 900, (37, 3)).astype(float)
    chosen = rng.integers(3, size=37)
    every = pair(trace, "abc", score, lengths, output_length=output_length, seed=4)
    one = pair_routed(trace, "abc", score, lengths, chosen, output_length=output_length, seed=4)
    mine = every.output_tokens[np.arange(500), chosen[every.row]]
    assert np.array_equal(one.row, every.row)
    assert np.array_equal(one.score, every.score)
    assert one.output_tokens.shape == every.output_tokens.shape
    assert all(np.array_equal(column, mine) for column in one.output_tokens.T)
    longest = (every.input_tokens[:, None] + every.output_tokens).max()
    assert longest <= longest_possible(trace, lengths, output_length)
