"""A small real problem: two models, two GPU types, two minutes of the shipped workload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from boute.context import Context, prepare
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.trial import Trial
from boute.spec.model import Spec

WORKLOAD = {"trace": "azure-conversation", "duration_s": 120}


@pytest.fixture(scope="session")
def spec_of(small_spec: Callable[..., dict[str, Any]]) -> Callable[..., Spec]:
    """The small spec with two minutes of the workload, or with other parts replaced."""

    def make(**changes: Any) -> Spec:
        return Spec.model_validate(small_spec(**({"workload": WORKLOAD} | changes)))

    return make


@pytest.fixture(scope="session")
def context_of(_no_cards_of_ones_own: None, spec_of: Callable[..., Spec]) -> Callable[..., Context]:
    """The context of the small spec with some of its parts replaced."""

    def make(**changes: Any) -> Context:
        return prepare(spec_of(**changes), Path())

    return make


@pytest.fixture(scope="session")
def context(context_of: Callable[..., Context]) -> Context:
    return context_of()


@pytest.fixture(scope="session")
def problem(context: Context) -> Problem:
    return Problem(context)


@pytest.fixture(scope="session")
def limited() -> Callable[..., Context]:
    """A context with other counts of its GPU types and another budget; nothing is loaded again."""

    def change(context: Context, counts: list[int], budget_per_hour: float | None) -> Context:
        targets = context.spec.targets.model_copy(update={"budget_per_hour": budget_per_hour})
        supplies = tuple(
            replace(supply, count=count)
            for supply, count in zip(context.supplies, counts, strict=True)
            if count
        )
        spec = context.spec.model_copy(update={"targets": targets})
        return replace(context, spec=spec, supplies=supplies)

    return change


@pytest.fixture(scope="session")
def tried() -> Callable[..., list[Trial]]:
    """Trials of points, simulated; of Sobol points unless others are given."""
    from boute.evaluate import evaluate
    from boute.optimizer.decoder import Rejection

    def run(problem: Problem, count: int = 0, points: Any = None) -> list[Trial]:
        if points is None:
            points = sobol_points(problem.encoding.dimensions, count, seed=7)
        trials = []
        for point in points:
            found = problem.decode(point)
            at = problem.point_of(point)
            if isinstance(found, Rejection):
                trials.append(problem.rejected(at, found))
                continue
            outcome = evaluate(found, problem.context.workload, problem.context)
            trials.append(problem.evaluated(at, found, outcome))
        return trials

    return run
