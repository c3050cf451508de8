from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boute.context import Context
from boute.optimizer.encoding import Point
from boute.optimizer.front import Origin, front_trials, make_plans, nothing_feasible
from boute.optimizer.problem import Problem
from boute.optimizer.sampler import make_sampler
from boute.optimizer.search import Limits, Search
from boute.optimizer.study import Study, StudyHeader
from boute.optimizer.trial import Trial
from boute.optimizer.workers import Workers

Tried = Callable[..., list[Trial]]


@pytest.fixture(scope="module")
def trials(problem: Problem, tried: Tried) -> list[Trial]:
    return tried(problem, 48)


def dominates(one: Trial, other: Trial) -> bool:
    assert one.values is not None
    assert other.values is not None
    return bool(np.all(one.values <= other.values) and np.any(one.values < other.values))


def test_the_front_is_what_is_feasible_and_not_dominated(trials: list[Trial]) -> None:
    front = front_trials(trials)
    feasible = [trial for trial in trials if trial.feasible]
    assert front
    for trial in feasible:
        on_front = not any(dominates(other, trial) for other in feasible)
        assert any(trial is kept for kept in front) == on_front


def test_the_order_is_not_that_of_discovery(trials: list[Trial]) -> None:
    expected = [trial.point for trial in front_trials(trials)]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(trials))
        assert [t.point for t in front_trials([trials[i] for i in order])] == expected


def test_the_most_balanced_plan_comes_first(trials: list[Trial]) -> None:
    front = front_trials(trials)
    values = np.array([trial.values for trial in front])
    spans = values.max(axis=0) - values.min(axis=0)
    scaled = (values - values.min(axis=0)) / np.where(spans > 0.0, spans, 1.0)
    distances = np.linalg.norm(scaled, axis=1)
    assert distances[0] == distances.min()


def test_without_feasible_trials_there_is_no_front(problem: Problem, trials: list[Trial]) -> None:
    assert front_trials([]) == []
    assert front_trials([trial for trial in trials if not trial.feasible]) == []


def test_plans_tell_what_was_tried_and_of_each_other(
    context: Context, trials: list[Trial], tmp_path: Path
) -> None:
    front = front_trials(trials)
    origin = Origin(tmp_path / "boute.yaml", "sobol", 7, tmp_path / "out" / "router", "hash")
    plans = make_plans(front, Problem(context), origin, tmp_path / "out" / "plans")
    assert [plan.name for plan in plans] == [f"plan-{n:02d}" for n in range(1, len(front) + 1)]
    for plan, trial in zip(plans, front, strict=True):
        assert trial.decision is not None
        assert plan.pools == list(trial.decision.pools)
        assert plan.predicted == trial.outcome
        assert {model.name for model in plan.models} == {pool.model for pool in plan.pools}
        assert plan.routing.router == "../router"
        assert plan.source.spec == "../../boute.yaml"
        assert plan.source.spec_hash == context.spec_hash
        assert len(plan.alternatives) == len(plans) - 1
        others = {other.plan: other.objectives for other in plan.alternatives}
        assert others == {p.name: p.objectives for p in plans if p.name != plan.name}


class Listed:
    """A sampler that hands out a few points."""

    def __init__(self, points: list[Point]) -> None:
        self.left = points

    def ask(self, count: int) -> list[Point]:
        asked, self.left = self.left[:count], self.left[count:]
        return asked

    def tell(self, trials: Sequence[Trial]) -> None:
        pass


def searched(context: Context, evaluations: int = 12, points: list[Point] | None = None) -> Search:
    problem = Problem(context)
    header = StudyHeader(context.spec_hash, "boute.yaml", problem.objectives)
    sampler = make_sampler("sobol", problem, 0) if points is None else Listed(points)
    with Study(None, header) as study:
        search = Search(problem, study, sampler, Workers(context, 1), "sobol", 0)
        search.run(Limits(evaluations))
    return search


def value_of(trial: Trial, metric: str) -> float:
    assert trial.outcome is not None
    return trial.outcome.value(metric)


@pytest.mark.parametrize(
    ("targets", "binding", "metric", "best"),
    [
        ({"quality_min": 0.99}, "quality_min", "quality", max),
        ({"ttft_p95_s": 1e-4}, "ttft_p95_s", "ttft_p95_s", min),
        ({"e2e_p50_s": 1e-3, "quality_min": 0.1}, "e2e_p50_s", "e2e_p50_s", min),
        ({"tpot_p99_s": 1e-5, "quality_min": 0.99}, "tpot_p99_s", "tpot_p99_s", min),
    ],
    ids=["quality", "ttft", "e2e", "worst-of-two"],
)
def test_what_binds_is_named_with_the_best_that_was_reached(
    context_of: Callable[..., Context],
    targets: dict[str, float],
    binding: str,
    metric: str,
    best: Any,
) -> None:
    search = searched(context_of(targets=targets))
    assert front_trials(search.trials) == []
    error = nothing_feasible(search)
    assert error.exit_code == 3
    assert binding in str(error)
    assert f"{targets[binding]:g}" in error.problem
    assert f"{best(value_of(trial, metric) for trial in search.trials):.4g}" in error.problem
    assert error.mend


def test_an_overload_is_named_with_the_load(context_of: Callable[..., Context]) -> None:
    """The decoder fills pools to the mean rate; a burst at its tail is more than they drain."""
    context = context_of(
        gpus={"l40s": {"count": 1}},
        models=["llama-3.1-8b"],
        workload={
            "generator": {
                "arrivals": "on-off",
                "rate_per_s": 5.0,
                "duration_s": 120,
                "on_s": 60,
                "off_s": 60,
                "burst_factor": 2.0,
                "input_tokens": {"median": 1000, "sigma": 0.5},
                "output_tokens": {"median": 200, "sigma": 0.5},
            }
        },
        targets={},
    )
    search = searched(context)
    unstable = [trial for trial in search.trials if value_of_verdict(trial) == "unstable"]
    assert unstable == search.trials
    error = nothing_feasible(search)
    assert "stability binds" in error.problem
    assert "%" in error.problem
    assert error.exit_code == 3


def value_of_verdict(trial: Trial) -> str:
    assert trial.outcome is not None
    return trial.outcome.verdict


def test_points_that_are_all_rejected_name_the_nearest(
    context_of: Callable[..., Context],
) -> None:
    """A budget for the small model alone, and points that give the large one a share."""
    points = [(0.9 - share, *[0.5] * 8) for share in (0.0, 0.3, 0.6)]
    search = searched(context_of(targets={"budget_per_hour": 1.0}), points=points)
    assert search.trials == []
    assert search.rejections == {"budget": 3}
    assert search.nearest is not None
    error = nothing_feasible(search)
    assert "budget binds" in error.problem
    assert search.nearest.reason in error.problem
    assert error.exit_code == 3


def test_a_search_without_time_says_so(context_of: Callable[..., Context]) -> None:
    error = nothing_feasible(searched(context_of(), evaluations=0))
    assert "no plan was tried" in error.problem
    assert "--time-limit" in error.mend
