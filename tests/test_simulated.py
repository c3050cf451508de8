"""A run tells what the whole outcome tells, to the last bit, whatever is asked of it and when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.context import Context, prepare
from boute.evaluate import evaluate
from boute.metrics import METRICS, MIGRATION
from boute.optimizer.constraints import misses
from boute.optimizer.problem import Problem
from boute.plan.decision import Decision
from boute.running import pool_loads
from boute.simulated import simulated
from boute.spec.model import RunningPool, Spec

Specs = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def problem(small_spec: Specs) -> Problem:
    """Tight enough to be missed, and with a fleet that runs, so that moves are told."""
    running = [RunningPool(model="llama-3.1-8b", gpu="l40s", replicas=2).model_dump()]
    targets = {"ttft_p95_s": 0.15, "tpot_p95_s": 0.03, "e2e_p95_s": 12.0}
    spec = Spec.model_validate(small_spec(targets=targets) | {"current": running})
    return Problem(prepare(spec, Path()))


@given(data=st.data())
def test_every_metric_is_that_of_the_outcome(problem: Problem, data: st.DataObject) -> None:
    context = problem.context
    size = problem.encoding.dimensions
    point = data.draw(st.tuples(*[st.floats(0.0, 1.0)] * size))
    decision = problem.decode(point)
    if not isinstance(decision, Decision):
        return
    outcome = evaluate(decision, context.workload, context)
    found = simulated(decision, context.workload, context, pool_loads(decision, context))
    for metric in data.draw(st.permutations(METRICS)):  # none depends on what was asked before
        assert found.value(metric) == outcome.value(metric), metric
    assert (found.verdict, found.utilisation) == (outcome.verdict, outcome.utilisation)
    targets = context.spec.targets
    assert misses(found, targets) == misses(outcome, targets)


def test_what_no_metric_is_and_moves_from_nowhere_are_refused(small_spec: Specs) -> None:
    problem = Problem(_context(small_spec))
    point = (0.5,) * problem.encoding.dimensions
    decision = problem.decode(point)
    assert isinstance(decision, Decision)
    found = simulated(decision, problem.context.workload, problem.context)
    for name in ("speed", "ttft_p42_s", "ttft", *MIGRATION):
        with pytest.raises(KeyError):
            found.value(name)


def _context(small_spec: Specs) -> Context:
    return prepare(Spec.model_validate(small_spec()), Path())
