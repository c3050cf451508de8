"""What a search has tried: one point, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from boute.optimizer.decoder import Rejection
from boute.optimizer.encoding import Point
from boute.optimizer.pareto import nondominated
from boute.outcome import Outcome
from boute.plan.decision import Decision
from boute.workload.arrays import Floats

__all__ = ["Candidate", "Trial", "undominated"]

Candidate = Point | Decision
"""What a sampler asks for: a point, which is decoded, or a decision as it is."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A point and what it is worth.

    The point of a candidate that was a decision is the one nearest to it. Either `rejection` says
    why the point is no plan, or `decision` and `outcome` are there and `values` [m] holds the
    normalised objectives, to be minimised. `violation` is 0 for a trial that meets every
    constraint, else the sum of relative misses.
    """

    point: Point
    decision: Decision | None
    outcome: Outcome | None
    rejection: Rejection | None
    values: Floats | None
    violation: float

    def __post_init__(self) -> None:
        evaluated = self.decision is not None and self.outcome is not None
        if evaluated == (self.rejection is not None) or evaluated != (self.values is not None):
            raise ValueError("a trial is either rejected or evaluated")

    @property
    def feasible(self) -> bool:
        """Whether the trial meets every constraint."""
        return self.rejection is None and self.violation == 0.0


def undominated(trials: Iterable[Trial]) -> list[Trial]:
    """Those that meet every constraint and that no other of them beats, in their order."""
    good = [trial for trial in trials if trial.feasible]
    if not good:
        return []
    kept = nondominated(np.array([trial.values for trial in good]))
    return [trial for trial, keep in zip(good, kept, strict=True) if keep]
