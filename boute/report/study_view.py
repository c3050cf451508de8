"""What a report is made from: a study as seen once it has ended.

The study fills this in and knows nothing of tables and plots; tables and plots read it and know
nothing of samplers and databases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from boute.plan.model import Plan
from boute.spec.model import Spec

__all__ = ["QUANTILES", "Progress", "StudyView", "TrialView"]

QUANTILES: Final = tuple(index / 100 for index in range(101))
"""Shares of the requests at which latency curves are given: 0, 0.01, ..., 1."""


@dataclass(frozen=True)
class Progress:
    """How far the search had come after an evaluation, counted from 1.

    `hypervolume` is normalised to [0, 1]; `seconds` is the time since the search began.
    """

    evaluation: int
    hypervolume: float
    seconds: float | None = None


@dataclass(frozen=True)
class TrialView:
    """One point that was evaluated.

    `objectives` is None when the point could not be evaluated, and `reason` then says why. `plan`
    is the name of its plan when it has one, or empty.
    """

    objectives: dict[str, float] | None
    feasible: bool
    verdict: str | None = None
    reason: str | None = None
    on_front: bool = False
    plan: str = ""


@dataclass(frozen=True)
class StudyView:
    """A study that found at least one plan.

    `plans` is the front, ranked: the first is the chosen one. `latency_curves` maps a plan's name
    to `ttft`, `tpot` and `e2e` in seconds at each of QUANTILES. `infeasible_reasons` counts why
    points could not become plans, `router` holds figures of merit of the router and
    `reference_point` the value of each objective from which the hypervolume was measured; the last
    two may be empty.
    """

    title: str
    spec: Spec
    spec_file: str
    objectives: tuple[str, ...]
    plans: tuple[Plan, ...]
    trials: tuple[TrialView, ...]
    progress: tuple[Progress, ...]
    sampler: str
    seed: int
    evaluations: int
    infeasible_reasons: dict[str, int]
    latency_curves: dict[str, dict[str, tuple[float, ...]]]
    router: dict[str, float] = field(default_factory=dict)
    reference_point: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.plans:
            raise ValueError("a study view needs at least one plan")

    @property
    def chosen(self) -> Plan:
        """The plan that is recommended."""
        return self.plans[0]
