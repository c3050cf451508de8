from __future__ import annotations

import numpy as np

from boute.optimizer.candidates import CandidatePool, estimated_front
from boute.optimizer.pareto import hypervolume
from boute.optimizer.problem import Preview, Problem
from boute.optimizer.seeds import placements_of_ladder
from boute.plan.decision import Decision


def front_volume(pool: CandidatePool) -> float:
    front = estimated_front(list(pool.previews.values()))
    return hypervolume(np.array([preview.values for preview in front]))


def test_a_pool_holds_each_plan_once(problem: Problem) -> None:
    pool = CandidatePool(problem)
    pool.add_random(30, seed=1)
    size = len(pool.previews)
    pool.add_random(30, seed=1)
    assert 0 < len(pool.previews) == size
    assert all(preview.decision.key == key for key, preview in pool.previews.items())


def test_changes_stay_in_the_cube_and_refining_improves_the_front(problem: Problem) -> None:
    pool = CandidatePool(problem)
    pool.add_random(30, seed=1)
    before = front_volume(pool)
    pool.refine(rounds=3, count=60, rng=np.random.default_rng(1))
    assert front_volume(pool) > before
    points = np.array([preview.point for preview in pool.previews.values()])
    assert np.all((points >= 0.0) & (points <= 1.0))


def test_without_parents_nothing_changes(problem: Problem) -> None:
    pool = CandidatePool(problem)
    pool.add_changes([], 10, np.random.default_rng(0))
    assert pool.previews == {}


def violated(previews: list[Preview]) -> list[float]:
    return [preview.violation for preview in previews]


def test_the_front_is_of_what_meets_the_targets_else_of_what_misses_least(
    problem: Problem,
) -> None:
    pool = CandidatePool(problem)
    pool.add_random(40, seed=2)
    previews = list(pool.previews.values())
    front = estimated_front(previews)
    assert set(violated(front)) == {0.0}
    meets = [preview for preview in previews if preview.violation == 0.0]
    for preview in front:
        assert not any(
            np.all(other.values <= preview.values) and np.any(other.values < preview.values)
            for other in meets
        )
    missing = [preview for preview in previews if preview.violation > 0.0]
    assert estimated_front(missing) == sorted(missing, key=lambda preview: preview.violation)[:64]
    assert estimated_front([]) == []


def test_a_plan_that_no_point_decodes_to_is_asked_for_as_it_is(problem: Problem) -> None:
    pool = CandidatePool(problem)
    plans = placements_of_ladder(problem)
    pool.add_plans([*plans, *plans])
    assert set(pool.previews) == {plan.key for plan in plans}
    for preview in pool.previews.values():
        found = problem.decode(pool.candidate(preview))
        assert isinstance(found, Decision)
        assert found.key == preview.decision.key
    assert any(pool.candidate(preview) == preview.point for preview in pool.previews.values())
