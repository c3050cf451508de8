from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.errors import ServingError
from boute.measure.fit import Cell, fit, prefill_cell
from boute.performance.measured import StepTimes, measured_costs
from boute.performance.power import load_power
from boute.performance.replica import Replica
from boute.simulation.reference import run_reference


def seconds(cell: Cell, times: StepTimes) -> float:
    return (
        cell.steps * times.floor_s
        + cell.tokens * times.token_s
        + cell.sequences * times.sequence_s
        + cell.pairs * times.pair_s
        + cell.context * times.context_s
        + cell.requests * times.request_s
    )


def decode_cell(sequences: float, context: float) -> Cell:
    return Cell(1.0, sequences, sequences, 0.0, sequences * context, 0.0, 1.0)


def cells_of(times: StepTimes, stages: int = 1) -> list[Cell]:
    """The experiments of a measurement, with the times that the coefficients give."""
    prompts = [prefill_cell(n, 1.0, stages=stages) for n in (16, 32, 64, 128, 384, 1024)]
    decodes = [
        decode_cell(size / min(size, stages), context)
        for size, context in [(1, 50), (2, 50), (4, 60), (8, 50), (16, 55), (1, 900), (4, 800)]
    ]
    return [replace(cell, seconds=seconds(cell, times)) for cell in [*prompts, *decodes]]


coefficients = st.builds(
    StepTimes,
    floor_s=st.floats(1e-4, 1e-1),
    token_s=st.floats(1e-6, 1e-3),
    sequence_s=st.floats(1e-5, 1e-3),
    pair_s=st.floats(1e-10, 1e-7),
    context_s=st.floats(1e-8, 1e-5),
    request_s=st.floats(1e-3, 1e-1),
)


@given(coefficients, st.sampled_from([1, 2, 4]))
def test_exact_cells_give_their_coefficients_back(times: StepTimes, stages: int) -> None:
    cells = cells_of(times, stages)
    found = fit(cells)
    # In time, not in each coefficient: what takes a billionth of any step cannot be told.
    for cell in cells:
        assert seconds(cell, found) == pytest.approx(cell.seconds, rel=1e-4)
    assert found.floor_s == pytest.approx(times.floor_s, rel=0.01, abs=1e-6)
    assert found.request_s == pytest.approx(times.request_s, rel=0.01, abs=1e-5)


@given(coefficients, st.integers(0, 2**32 - 1))
def test_noise_on_the_cells_moves_times_by_no_more(times: StepTimes, seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(0.97, 1.03, size=50)
    exact = cells_of(times)
    noisy = [
        replace(cell, seconds=cell.seconds * factor)
        for cell, factor in zip(exact, noise, strict=False)
    ]
    found = fit(noisy)
    for cell in exact:
        assert seconds(cell, found) == pytest.approx(cell.seconds, rel=0.12)


def test_what_cannot_be_told_is_nothing_and_not_less() -> None:
    # A machine on which longer prompts came out faster by chance.
    found = fit(
        [
            prefill_cell(16, 0.011),
            prefill_cell(64, 0.010),
            replace(decode_cell(1, 20), seconds=0.004),
            replace(decode_cell(8, 20), seconds=0.0041),
        ]
    )
    assert min(found.model_dump().values()) == 0
    assert found.floor_s > 0.003


def test_times_that_nothing_explains_are_refused() -> None:
    with pytest.raises(ServingError, match="grow with nothing"):
        fit([Cell(0, 0, 0, 0, 0, 1, 0.01)])


@pytest.mark.parametrize("stages", [1, 2])
def test_a_prompt_cell_is_what_the_simulator_makes_of_a_prompt(stages: int) -> None:
    times = StepTimes(
        floor_s=0.004, token_s=5e-5, sequence_s=2e-4, pair_s=1e-8, context_s=3e-7, request_s=0.0
    )
    replica = Replica(
        costs=measured_costs(times, 0.0, load_power()),
        stages=stages,
        kv_blocks=100,
        block_size=16,
        max_num_seqs=8,
        max_num_batched_tokens=2048,
        gpus=stages,
        idle_w=0.0,
    )
    _, (request,) = run_reference(replica, 1, [(0, 0)], [0.0], [100], [1])
    cell = prefill_cell(100, 0.0, stages=stages)
    assert request.first_s == pytest.approx(stages * seconds(cell, times))
