from __future__ import annotations

import numpy as np
import pytest

from boute.errors import ServingError
from boute.measure.experiments import Experiment, Observed, cells_of, plan_experiments, random_shape
from boute.measure.fit import Cell


def test_experiments_tell_every_part_of_a_step_apart() -> None:
    plan = plan_experiments([2, 8], 512, None)
    assert len(plan) == len(set(plan))
    assert {e.concurrency for e in plan if e.shape is None} == {2, 8}
    assert len({e.shape for e in plan if e.concurrency == 1}) >= 3
    assert all(sum(e.shape) <= 512 for e in plan if e.shape is not None)


def test_what_the_cache_cannot_hold_is_left_out() -> None:
    plan = plan_experiments([1, 4, 16], 512, 2048)
    assert max(e.concurrency for e in plan) == 4
    with pytest.raises(ServingError, match="300 tokens of KV cache"):
        plan_experiments([16], 512, 300)
    with pytest.raises(ServingError, match="requests at a time"):
        plan_experiments([1], 512, None)


def test_random_shapes_fit_and_vary() -> None:
    random = np.random.default_rng(0)
    shapes = [random_shape(64, random) for _ in range(500)]
    assert min(shapes)[0] == 4
    assert max(shapes)[0] == 32
    assert {output for _, output in shapes} == set(range(4, 17))


def step(seconds: float) -> Cell:
    return Cell(1.0, 3.0, 2.0, 1.0, 50.0, 0.0, seconds)


def test_cells_are_medians_over_rounds() -> None:
    together = Experiment(2, (8, 32))
    prompt = Experiment(1, (100, 4))
    found = {
        together: Observed([8, 8], [0.1, 0.2], [step(0.01), step(0.02), step(9.0)]),
        prompt: Observed([100, 100, 100], [0.3, 0.4, 9.0], [step(0.5)]),
    }
    assert cells_of(found, stages=1) == [
        Cell(1.0, 3.0, 2.0, 1.0, 50.0, 0.0, 0.02),
        Cell(1.0, 100.0, 1.0, 5000.0, 0.0, 1.0, 0.4),
    ]
