from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.context import Context
from boute.errors import InputError
from boute.evaluate import evaluate
from boute.optimizer.exact import Exact, all_plans
from boute.optimizer.front import front_trials
from boute.optimizer.problem import Problem
from boute.optimizer.search import Limits, Search
from boute.optimizer.study import Study, StudyHeader
from boute.optimizer.trial import Trial
from boute.optimizer.workers import Workers
from boute.plan.decision import Decision

STEPS = 4


@pytest.fixture(scope="module")
def tiny(context_of: Callable[..., Context]) -> Problem:
    """Two models on three GPUs of two types, and half a minute of work."""
    return Problem(
        context_of(
            gpus={"l40s": {"count": 2}, "h100-sxm": {"count": 3}},
            workload={"trace": "azure-conversation", "duration_s": 20, "rate_scale": 0.3},
        )
    )


@pytest.fixture(scope="module")
def every(tiny: Problem) -> list[Trial]:
    """All plans of the grid, simulated without any pruning."""
    _, plans = all_plans(tiny, (STEPS,))
    return [trial_of(tiny, plan) for plan in plans]


def trial_of(problem: Problem, plan: Decision) -> Trial:
    context = problem.context
    return problem.evaluated((), plan, evaluate(plan, context.workload, context))


def searched(problem: Problem, evaluations: int = 100_000) -> Search:
    header = StudyHeader("a hash", "boute.yaml", problem.objectives)
    with Study(None, header) as study, Workers(problem.context, 1) as workers:
        search = Search(problem, study, Exact(problem, 0, STEPS), workers, "exact", 0)
        search.run(Limits(evaluations))
    return search


def values(trials: list[Trial]) -> set[tuple[float, ...]]:
    return {tuple(trial.values) for trial in front_trials(trials) if trial.values is not None}


def test_the_front_is_that_of_all_plans(tiny: Problem, every: list[Trial]) -> None:
    search = searched(tiny)
    assert search.ended
    assert values(search.trials) == values(every)
    assert len(values(every)) >= 3
    assert len(search.trials) < len(every)  # something was pruned
    assert isinstance(search.sampler, Exact)
    assert len(search.trials) + search.sampler.pruned == search.sampler.plans == len(every)


def test_no_sampler_finds_a_plan_that_beats_the_front_of_its_grid(
    tiny: Problem, every: list[Trial]
) -> None:
    front = np.array(sorted(values(every)))
    rng = np.random.default_rng(3)
    beaten = 0
    for _ in range(40):
        genes = tiny.encoding.split(tuple(rng.random(tiny.encoding.dimensions)))
        share = np.rint(genes.fractions[0] * STEPS) / STEPS
        point = tiny.encoding.join(
            np.array([share, 1.0 - share]), genes.wants, genes.headroom, genes.haste
        )
        found = tiny.decode(point)
        if isinstance(found, Decision) and (trial := trial_of(tiny, found)).feasible:
            beaten += 1
            assert trial.values is not None
            assert np.any(np.all(front <= trial.values + 1e-12, axis=1))
    assert beaten >= 5


def test_plans_are_those_that_a_point_decodes_to(tiny: Problem) -> None:
    """The same placement for the same routing is one plan, whoever asks for it."""
    _, plans = all_plans(tiny, (STEPS,))
    keys = {plan.key for plan in plans}
    assert len(keys) == len(plans)
    point = tiny.encoding.join(np.array([0.5, 0.5]), np.eye(2), np.zeros(2), np.zeros(2))
    decision = tiny.decode(point)
    assert isinstance(decision, Decision)
    assert decision.key in keys


def test_the_finest_grid_within_the_limit_is_taken(tiny: Problem) -> None:
    coarse, few = all_plans(tiny, (20, STEPS), most=len(all_plans(tiny, (STEPS,))[1]))
    assert coarse == STEPS
    fine, many = all_plans(tiny, (20, STEPS))
    assert fine == 20
    assert len(many) > len(few)


def test_a_case_that_is_too_large_is_refused_with_numbers(problem: Problem) -> None:
    with pytest.raises(InputError, match=r"at most 20,000, and 16 GPUs .* in about .* ways"):
        Exact(problem, 0)


def test_a_floor_out_of_reach_is_explained(context_of: Callable[..., Context]) -> None:
    from boute.optimizer.front import nothing_feasible

    problem = Problem(
        context_of(
            gpus={"h100-sxm": {"count": 3}},
            targets={"quality_min": 0.99},
            workload={"trace": "azure-conversation", "duration_s": 20, "rate_scale": 0.05},
        )
    )
    search = searched(problem, evaluations=8)
    assert not front_trials(search.trials)
    assert "quality_min binds" in str(nothing_feasible(search))
