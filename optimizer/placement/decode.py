"""From the columns of a solution to a placement."""

from __future__ import annotations

import numpy as np

from boute.optimizer.options import Option
from boute.optimizer.placement.build import Program
from boute.optimizer.placement.solve import Solution

__all__ = ["placement_of"]


def placement_of(program: Program, solution: Solution) -> dict[Option, int] | None:
    """Whole replicas of each option that is used; None where nothing was found."""
    if solution.columns is None:
        return None
    counts = np.rint(solution.columns[: len(program.options)]).astype(int)
    return {option: int(n) for option, n in zip(program.options, counts, strict=True) if n > 0}
