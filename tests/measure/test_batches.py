"""What answers tell of batches, against the batches of the reference simulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.measure.answer import Answer
from boute.measure.batches import mean_step
from boute.measure.fit import Cell, fit, prefill_cell
from boute.performance.measured import StepTimes, measured_costs
from boute.performance.power import load_power
from boute.performance.replica import Replica
from boute.simulation.reference import run_reference

TIMES = StepTimes(
    floor_s=0.004, token_s=5e-5, sequence_s=2e-4, pair_s=3e-8, context_s=4e-7, request_s=0.02
)
shapes = st.lists(
    st.tuples(st.floats(0, 0.5), st.integers(1, 200), st.integers(1, 40)), min_size=1, max_size=12
)


def answers_of(requests: list[tuple[float, int, int]], *, merged: int = 1) -> list[Answer]:
    """Answers to requests (arrival, input, output), as one engine of the step model gives them."""
    replica = Replica(
        costs=measured_costs(TIMES, 0.0, load_power()),
        stages=1,
        kv_blocks=10_000,
        block_size=16,
        max_num_seqs=64,
        max_num_batched_tokens=10_000,
        gpus=1,
        idle_w=0.0,
    )
    arrivals, inputs, outputs = zip(*sorted(requests), strict=True)
    candidates = [(0, 0)] * len(requests)
    (engine,), run = run_reference(replica, 1, candidates, arrivals, inputs, outputs)
    token_s: dict[int, list[float]] = {request.index: [] for request in run}
    for batch in engine.batches:
        for request in batch.sampled:
            token_s[request.index].append(batch.stage_end_s[-1])
    return [
        Answer(
            request.arrival_s - TIMES.request_s,
            tuple(chunk_s(token_s[request.index], merged)),
            request.input,
            request.output,
        )
        for request in run
    ]


def chunk_s(token_s: list[float], merged: int) -> list[float]:
    """When chunks come: the first token alone, then so many at a time, then what is left."""
    return sorted({token_s[0], *token_s[merged::merged], token_s[-1]})


def seconds(cell: Cell) -> float:
    return (
        cell.steps * TIMES.floor_s
        + cell.tokens * TIMES.token_s
        + cell.sequences * TIMES.sequence_s
        + cell.pairs * TIMES.pair_s
        + cell.context * TIMES.context_s
    )


@given(shapes)
def test_the_mean_step_is_that_of_the_batches(requests: list[tuple[float, int, int]]) -> None:
    cell = mean_step(answers_of(requests))
    if all(output == 1 for _, _, output in requests):
        assert cell is None
    else:
        assert cell is not None
        assert cell.seconds == pytest.approx(seconds(cell), rel=1e-9)


def test_a_pipeline_has_its_sequences_spread_over_the_stages() -> None:
    answers = answers_of([(0.0, 20, 30)] * 4)
    one, two = mean_step(answers), mean_step(answers, stages=2)
    assert one is not None
    assert two is not None
    assert (one.sequences, two.sequences) == (pytest.approx(4), pytest.approx(2))
    assert two.context == pytest.approx(one.context / 2)
    assert two.seconds == pytest.approx(one.seconds / 2)


def test_chunks_of_several_tokens_are_counted_by_usage() -> None:
    requests = [(0.0, 20, 80), (0.0, 30, 80)]
    single, merged = mean_step(answers_of(requests)), mean_step(answers_of(requests, merged=2))
    assert single is not None
    assert merged is not None
    assert merged.sequences == pytest.approx(single.sequences)
    assert merged.seconds == pytest.approx(single.seconds, rel=0.01)
    assert merged.context == pytest.approx(single.context, rel=0.05)


def test_answers_of_an_engine_give_its_coefficients_back() -> None:
    random = np.random.default_rng(0)
    cells = [prefill_cell(n, answers_of([(0.0, n, 1)])[0].ttft_s) for n in (16, 64, 128, 256, 400)]
    for users in (1, 2, 4, 8, 16):
        for longest in (20, 400):
            arrivals, inputs = random.uniform(0, 0.2, users), random.integers(8, longest, users)
            cell = mean_step(
                answers_of([(float(t), int(n), 60) for t, n in zip(arrivals, inputs, strict=True)])
            )
            assert cell is not None
            cells.append(cell)
    found = fit(cells)
    for name, value in TIMES.model_dump().items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-3), name
