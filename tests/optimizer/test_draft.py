from __future__ import annotations

import pytest

from boute.optimizer.draft import decision_of_draft, draft_of, routing_of
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.plan.decision import Decision


def test_a_draft_and_its_decision_are_the_same_plan(problem: Problem) -> None:
    for point in sobol_points(problem.encoding.dimensions, 64, 3):
        decision = problem.decode(point)
        if isinstance(decision, Decision):
            assert decision_of_draft(draft_of(decision, problem), problem).key == decision.key


def test_cuts_are_percents_of_the_queries(problem: Problem) -> None:
    routing = routing_of((30,), problem)
    assert routing.fractions[0] == pytest.approx(0.3, abs=0.05)
    assert sum(routing.fractions) == pytest.approx(1.0)
    assert routing_of((0,), problem).fractions == [0.0, 1.0]
    assert routing_of((100,), problem).fractions == [1.0, 0.0]
