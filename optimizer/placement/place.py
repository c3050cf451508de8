"""Build, solve and decode in one call: the best placement for a routing."""

from __future__ import annotations

import numpy as np

from boute.optimizer.options import Option
from boute.optimizer.placement.build import build_cheapest, build_fastest
from boute.optimizer.placement.decode import placement_of
from boute.optimizer.placement.solve import solve
from boute.optimizer.problem import Problem
from boute.workload.arrays import Floats

__all__ = ["cheapest_placement", "fastest_placement"]


def cheapest_placement(
    problem: Problem, fractions: Floats, fullness: float
) -> dict[Option, int] | None:
    """Replicas at least cost an hour for fractions [K] of the load, or None where there is no room.

    Pools are filled to `fullness` of their goodput at most.
    """
    load = fractions * problem.context.workload.peak_rate_per_s
    program = build_cheapest(problem.table.options, problem.context.supplies, load, fullness)
    return placement_of(program, solve(program))


def fastest_placement(
    problem: Problem, fractions: Floats, budget_per_hour: float = np.inf
) -> dict[Option, int] | None:
    """Replicas within a budget for the least mean E2E latency by the table, or None."""
    load = fractions * problem.context.workload.peak_rate_per_s
    program = build_fastest(problem.table.options, problem.context.supplies, load, budget_per_hour)
    return placement_of(program, solve(program))
