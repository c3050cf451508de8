"""What a search that is started from another tries first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boute.context import Context
from boute.errors import SpecError
from boute.evaluate import evaluate
from boute.migration import Migration
from boute.optimizer.begin import FROM_FRONT, NEAR, OTHERS, begin, check_current
from boute.optimizer.earlier import Earlier, load_earlier
from boute.optimizer.pareto import hypervolume
from boute.optimizer.problem import Problem
from boute.optimizer.run import search_problem
from boute.optimizer.search import Limits, Search
from boute.optimizer.start import Start
from boute.optimizer.study import Study
from boute.optimizer.study_header import header_of
from boute.optimizer.trial import Trial
from boute.spec.model import RunningPool

RUNS = [
    {"model": "llama-3.1-8b", "gpu": "l40s", "replicas": 2},
    {"model": "llama-3.1-70b", "gpu": "h100-sxm", "replicas": 1, "tensor_parallel": 4},
]
WORKLOAD = {"trace": "azure-conversation", "duration_s": 120}


@pytest.fixture(scope="module")
def old(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Earlier]:
    path = tmp_path_factory.mktemp("begin") / "study.db"
    with Study(path, header_of(problem.context, "boute.yaml")) as study:
        search = search_problem(problem, study, "sobol", 3, Limits(64))
    return search, load_earlier(path)


def tried_first(problem: Problem, start: Start) -> list[Trial]:
    """What is tried first, simulated; only what meets the targets."""
    context = problem.context
    outcomes = [(each, evaluate(each, context.workload, context)) for each in start.first]
    trials = [problem.evaluated(problem.point_of(each), each, found) for each, found in outcomes]
    return [trial for trial in trials if trial.feasible]


def volume(problem: Problem, start: Start) -> float:
    return hypervolume(np.array([trial.values for trial in tried_first(problem, start)]))


def test_in_the_same_world_the_old_front_comes_back(
    problem: Problem, old: tuple[Search, Earlier]
) -> None:
    search, earlier = old
    start = begin(problem, earlier)
    assert start is not None
    assert start.plans == start.carried == start.whole == 64
    assert len(start.first) <= FROM_FRONT + OTHERS
    assert volume(problem, start) >= search.steps[-1].hypervolume


def test_where_the_load_grows_it_begins_where_others_end(
    context_of: Callable[..., Context], old: tuple[Search, Earlier]
) -> None:
    """What is tried first is worth more than as many plans of chance, and than twice as many."""
    more = Problem(context_of(workload=WORKLOAD | {"rate_scale": 1.2}))
    start = begin(more, old[1])
    assert start is not None
    with Study(None, header_of(more.context, "boute.yaml")) as study:
        cold = search_problem(more, study, "sobol", 4, Limits(2 * len(start.first)))
    assert volume(more, start) > cold.steps[-1].hypervolume


def test_an_old_trial_tells_what_to_expect_of_its_plan(
    problem: Problem, old: tuple[Search, Earlier]
) -> None:
    """In the same world that is what was found, so that nothing dominated is tried of the front."""
    search, earlier = old
    start = begin(problem, earlier)
    assert start is not None
    kept = {trial.decision.key: trial for trial in search.trials if trial.decision}
    first = [kept[each.key] for each in start.first if each.key in kept]
    assert len(first) >= 5
    assert sum(trial.feasible for trial in first) >= 0.9 * len(first)


def test_without_anything_to_start_from_there_is_no_start(problem: Problem) -> None:
    assert begin(problem, None) is None


@pytest.mark.parametrize("most", [0, 3, 8])
def test_with_a_limit_on_moves_plans_within_it_are_tried(
    context_of: Callable[..., Context], most: int
) -> None:
    problem = Problem(context_of(current=RUNS, targets={"moved_gpus_max": most}))
    start = begin(problem, None)
    assert start is not None
    assert start.current == tuple(map(RunningPool.model_validate, RUNS))
    assert len(start.first) <= NEAR
    moved = [Migration(problem.context).metrics(each)["moved_gpus"] for each in start.first]
    assert max(moved) <= most
    assert len(tried_first(problem, start)) >= 2


def test_where_moves_are_traded_off_more_and_fewer_are_tried(
    context_of: Callable[..., Context], old: tuple[Search, Earlier]
) -> None:
    objectives = ["quality", "cost_per_hour", "moved_gpus"]
    problem = Problem(context_of(current=RUNS, objectives=objectives))
    start = begin(problem, old[1])
    assert start is not None
    moved = {Migration(problem.context).metrics(each)["moved_gpus"] for each in start.first}
    assert 0.0 in moved
    assert len(moved) >= 4


def test_the_plan_that_runs_must_not_be_written_over(problem: Problem, tmp_path: Path) -> None:
    spec: Any = problem.context.spec.model_copy(update={"current": "out/plans/plan-01.yaml"})
    check_current(spec, tmp_path, tmp_path / "elsewhere" / "plans")
    with pytest.raises(SpecError, match="will be replaced") as info:
        check_current(spec, tmp_path, tmp_path / "out" / "plans")
    assert info.value.where == "current"
