"""HiGHS on a program: its optimum, and what no solution can be better than."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from boute.optimizer.placement.build import Program
from boute.optimizer.placement.silence import silenced
from boute.workload.arrays import Floats, Ints

__all__ = ["Solution", "relaxed", "solve"]

# The programs are small; the limit guards against the one that is not. It is of nodes and not of
# seconds, so that a slower machine has the same placement.
NODES: Final = 2000

# Relative gap at which a placement counts as the best: the table is no nearer to the truth.
GAP: Final = 1e-3


@dataclass(frozen=True, eq=False)
class Solution:
    """The best columns [n] found, or None, and a value that no solution is below."""

    columns: Floats | None
    bound: float


def solve(
    program: Program, *, seconds: float = np.inf, gap: float = GAP, presolve: bool = True
) -> Solution:
    """Minimise a program; the bound of one without any solution is infinite.

    HiGHS looks at the clock between steps. Its presolve is one step, however long it takes.
    """
    return _run(program, program.whole, seconds, gap, presolve)


def relaxed(program: Program) -> float:
    """The optimum where replicas may be split: a bound, infinite where there is no solution."""
    return _run(program, np.zeros_like(program.whole), np.inf, 0.0, presolve=True).bound


def _run(program: Program, whole: Ints, seconds: float, gap: float, presolve: bool) -> Solution:
    if not program.options:
        return Solution(None, np.inf)
    with silenced():
        result = milp(
            c=program.cost,
            integrality=whole,
            bounds=Bounds(0.0, np.inf),
            constraints=LinearConstraint(program.rows, program.low, program.high),
            options={
                "time_limit": seconds,
                "node_limit": NODES,
                "mip_rel_gap": gap,
                "presolve": presolve,
            },
        )
    if result.status == 2:
        return Solution(None, np.inf)
    bound = result.mip_dual_bound if whole.any() else result.fun
    return Solution(result.x, -np.inf if bound is None else float(bound))
