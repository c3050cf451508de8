from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from boute.context import Context
from boute.optimizer.certify import certify
from boute.optimizer.placement.bound import cost_bound
from boute.optimizer.problem import Problem
from boute.optimizer.run import search_problem
from boute.optimizer.search import Limits, Search
from boute.optimizer.study import Study, StudyHeader

ContextOf = Callable[..., Context]


def searched(context: Context, sampler: str, evaluations: int) -> Search:
    problem = Problem(context)
    header = StudyHeader("a hash", "boute.yaml", problem.objectives)
    with Study(None, header) as study:
        return search_problem(problem, study, sampler, 0, Limits(evaluations))


def tiny(context_of: ContextOf, **changes: Any) -> Context:
    return context_of(
        gpus={"h100-sxm": {"count": 3}},
        workload={"trace": "azure-conversation", "duration_s": 20, "rate_scale": 0.3},
        **changes,
    )


def test_the_gap_is_between_the_cheapest_plan_and_the_bound(context: Context) -> None:
    search = searched(context, "sobol", 24)
    found = certify(search)
    bound = cost_bound(search.problem).whole
    cheapest = min(t.outcome.cost_per_hour for t in search.trials if t.feasible and t.outcome)
    assert found.cost_bound_per_hour == pytest.approx(bound)
    assert found.cost_gap == pytest.approx(cheapest / bound - 1.0)
    assert found.cost_gap > 0.0
    (sentence,) = found.says
    assert f"${bound:.2f}" in sentence
    assert "capacity table" in sentence


def test_an_exact_search_says_among_how_many_plans(context_of: ContextOf) -> None:
    context = tiny(context_of)
    whole, part = (
        certify(searched(context, "exact", 20_000)),
        certify(searched(context, "exact", 9)),
    )
    assert whole.says[0].startswith("front: exact among ")
    assert part.says[0].startswith("front: not exact yet")


def test_no_bound_is_stated_where_cost_is_no_objective(context_of: ContextOf) -> None:
    context = tiny(context_of, objectives=["quality", "e2e_p95_s"])
    found = certify(searched(context, "sobol", 8))
    assert found.cost_bound_per_hour is None
    assert found.cost_gap is None
    assert "no bound" in found.says[0]


def test_no_bound_is_known_of_a_plan_fuller_than_the_table_would_have_it(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    from boute.optimizer import certify as module
    from boute.optimizer.placement.bound import CostBound

    search = searched(context, "sobol", 8)
    for bound, says in ((1e6, "fuller than the capacity table"), (float("-inf"), "HiGHS")):
        monkeypatch.setattr(module, "cost_bound", lambda problem, seconds, b=bound: CostBound(b, b))
        found = certify(search)
        assert found.cost_gap is None
        assert "no bound is known" in found.says[0]
        assert says in found.says[0]
