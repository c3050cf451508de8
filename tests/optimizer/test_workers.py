from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from boute.errors import BouteError, InputError
from boute.evaluate import evaluate
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.workers import Workers
from boute.plan.decision import Decision


@pytest.fixture(scope="module")
def decisions(problem: Problem) -> list[Decision]:
    points = sobol_points(problem.encoding.dimensions, 5, seed=5)
    found = [problem.decode(point) for point in points]
    return [decision for decision in found if isinstance(decision, Decision)]


@pytest.fixture(scope="module")
def pair(problem: Problem) -> Iterator[Workers]:
    with Workers(problem.context, 2) as workers:
        yield workers


def broken(decision: Decision) -> Decision:
    """A pool that no replica can be built for."""
    pool = decision.pools[0].model_copy(update={"tensor_parallel": 3})
    return Decision(decision.routing, (pool, *decision.pools[1:]))


def test_outcomes_come_in_order_and_are_those_of_one_process(
    problem: Problem, pair: Workers, decisions: list[Decision]
) -> None:
    context = problem.context
    expected = [evaluate(decision, context.workload, context) for decision in decisions]
    with Workers(context, 1) as one:
        assert list(one.outcomes(decisions)) == expected
    found = list(pair.outcomes(decisions))
    assert [outcome.model_dump_json() for outcome in found] == [
        outcome.model_dump_json() for outcome in expected
    ]


def test_an_error_arrives_as_it_was_raised(
    problem: Problem, pair: Workers, decisions: list[Decision]
) -> None:
    messages = []
    with Workers(problem.context, 1) as one:
        for workers in (one, pair):
            with pytest.raises(InputError, match="tensor parallelism") as info:
                list(workers.outcomes([decisions[0], broken(decisions[1])]))
            messages.append((str(info.value), info.value.where, info.value.mend))
    assert messages[0] == messages[1]


def test_no_decisions_are_no_outcomes(pair: Workers) -> None:
    assert list(pair.outcomes([])) == []


def test_a_killed_worker_is_one_clear_line(problem: Problem, decisions: list[Decision]) -> None:
    """As the system does it when memory runs out."""
    with Workers(problem.context, 2) as workers:
        assert len(list(workers.outcomes(decisions))) == len(decisions)
        assert workers._pool is not None
        for process in workers._pool._processes.values():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(BouteError, match="a worker process was killed") as info:
            list(workers.outcomes(decisions))
    assert info.value.where == "--workers"
    assert info.value.exit_code == 2
