"""A world knows of its table's rows only, and its plans can be tried on fresh days."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.robustness import CASES, TABLE, World, make_world
from boute.evaluate import evaluate
from boute.optimizer.rivalry import run_sampler


@pytest.fixture(scope="module")
def world() -> World:
    generator: dict[str, Any] = {**CASES["poisson"]["generator"], "duration_s": 30}
    return make_world({"generator": generator}, 0, days=2)


def test_a_world_has_the_rows_of_its_table(world: World) -> None:
    context = world.context
    assert len(context.quality) == len(context.score) == len(context.evidence) == TABLE
    assert len(world.days[0].quality) > TABLE
    assert len({len(day.workload) for day in (context, *world.days)}) > 1


def test_plans_of_a_world_run_on_its_days(world: World) -> None:
    front = run_sampler(world.context, "single-gpu", 0, 12).front
    assert front
    for trial in front:
        assert trial.decision is not None
        assert trial.outcome is not None
        known = trial.outcome.value("quality")
        found = [evaluate(trial.decision, day.workload, day) for day in world.days]
        assert found[0].value("e2e_p95_s") != found[1].value("e2e_p95_s")
        assert abs(found[0].value("quality") - known) < 0.1
