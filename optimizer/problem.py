"""A spec made ready to be searched: what points mean, what they promise, what trials are worth."""

from __future__ import annotations

from typing import Final

import numpy as np

from boute.context import Context
from boute.errors import InfeasibleError
from boute.metrics import MIGRATION, is_maximised
from boute.optimizer.constraints import instability, misses_of
from boute.optimizer.decoder import Decoder, Rejection
from boute.optimizer.encoding import Encoding, Point
from boute.optimizer.estimate import Estimate, Estimator
from boute.optimizer.nearest import nearest_point
from boute.optimizer.options import OptionTable
from boute.optimizer.pareto import Scale
from boute.optimizer.robustness import Judge, as_it_is, at_its_worst, metrics_of
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.trial import Candidate, Trial
from boute.outcome import Outcome
from boute.plan.decision import Decision
from boute.spec.targets import Targets
from boute.workload.arrays import Floats

__all__ = ["Problem", "nothing_decodes"]

# Points that set the scale of objectives without a target. The same for every seed and sampler,
# so that hypervolumes of one spec compare.
_SCALE_POINTS: Final = 256
_SCALE_SEED: Final = 0

# How far the reference point lies past the worst that is of use, in shares of the scale: a plan at
# a limit is of use.
_PAST: Final = 0.01


class Problem:
    """Decoding, estimating and judging for one context.

    `wanted` are the metrics that a search has to know: objectives, and whatever has a target.

    Raises InfeasibleError when a model of the family fits no GPU type, and when no plan is found
    within inventory and budget.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.table = OptionTable(context)
        self._require_options()
        self.encoding = Encoding(len(context.family), len(context.supplies))
        self.objectives = tuple(context.spec.objectives)
        self.wanted = metrics_of(context.spec)
        self.decoder = Decoder(context, self.table)
        self.estimator = Estimator(context, self.table)
        self.robust = context.spec.search.robust
        self._decoded: dict[Point, Decision | Rejection] = {}
        self.scale = self._make_scale()

    def decode(self, candidate: Candidate) -> Decision | Rejection:
        """What a candidate means; remembered, since samplers and the search both ask."""
        if isinstance(candidate, Decision):
            return candidate
        point = candidate
        if point not in self._decoded:
            self._decoded[point] = self.decoder.decode(self.encoding.split(point))
        return self._decoded[point]

    def point_of(self, candidate: Candidate) -> Point:
        """The candidate, or the point whose decoding comes nearest to it."""
        if not isinstance(candidate, Decision):
            return candidate
        return nearest_point(candidate, self.encoding, self.context, self.table)

    def promised(self, estimate: Estimate) -> tuple[Floats, float]:
        """Normalised objectives [m] and relative misses of targets, by an estimate."""
        return self.judged(estimate.metrics, max(estimate.utilisation - 1.0, 0.0))

    def evaluated(self, point: Point, decision: Decision, outcome: Outcome) -> Trial:
        """The trial of a simulated decision."""
        found = np.array([self.value(outcome, name) for name in self.objectives])
        violation = sum(self.missed(outcome).values())
        return Trial(point, decision, outcome, None, self.scale.normalise(found), violation)

    def judged(self, metrics: dict[str, float], unstable: float) -> tuple[Floats, float]:
        """Normalised objectives [m] and relative misses of targets, by the wanted metrics."""
        found = np.array([metrics[name] for name in self.objectives])
        missed = misses_of(metrics.__getitem__, unstable, self.context.spec.targets)
        return self.scale.normalise(found), sum(missed.values())

    def missed(self, outcome: Outcome, targets: Targets | None = None) -> dict[str, float]:
        """Constraints that an outcome misses, with the relative miss: the spec's, or others."""
        once = self.robust and outcome.robustness is not None and outcome.robustness.unstable > 0.0
        unstable = instability(once or outcome.verdict == "unstable", outcome.utilisation)
        return misses_of(
            lambda name: self.value(outcome, name), unstable, targets or self.context.spec.targets
        )

    @property
    def judge(self) -> Judge:
        """What a decision is to be put through before it is judged."""
        return at_its_worst if self.robust else as_it_is

    def value(self, outcome: Outcome, metric: str) -> float:
        """What an outcome counts for in a metric: at its pessimistic end in a robust search."""
        return outcome.pessimistic(metric) if self.robust else outcome.value(metric)

    def rejected(self, point: Point, rejection: Rejection) -> Trial:
        """The trial of a point that is no plan; it counts as worse than any that is."""
        return Trial(point, None, None, rejection, None, 10.0 + rejection.shortfall)

    def _require_options(self) -> None:
        """Every model asked for has to have a place: a family without one is another question."""
        gpus = range(len(self.context.supplies))
        for model in range(len(self.context.family)):
            if not any(self.table.choices(model, gpu) for gpu in gpus):
                raise nothing_decodes(Rejection("memory", self.table.why_not(model), 1.0))

    def _make_scale(self) -> Scale:
        points = sobol_points(self.encoding.dimensions, _SCALE_POINTS, _SCALE_SEED)
        decisions = [self.decode(point) for point in points]
        if not any(isinstance(found, Decision) for found in decisions):
            # Where next to nothing can be afforded chance does not find it.
            decisions += [self.decode(point) for point in self._corners()]
        estimates = [
            self.estimator.estimate(found) for found in decisions if isinstance(found, Decision)
        ]
        if not estimates:
            rejections = [found for found in decisions if isinstance(found, Rejection)]
            raise nothing_decodes(min(rejections, key=lambda found: found.shortfall))
        best, worst = np.array([self._range(name, estimates) for name in self.objectives]).T
        return Scale(self.objectives, best, worst + _PAST * (worst - best))

    def _corners(self) -> list[Point]:
        """All queries on one model, that on one GPU type, as full and as cheap as can be."""
        encoding = self.encoding
        return [
            encoding.join(fractions, encoding.alone(gpu), headroom=0.0, haste=0.0)
            for fractions in np.eye(encoding.models)
            for gpu in range(encoding.gpus)
        ]

    def _range(self, name: str, estimates: list[Estimate]) -> tuple[float, float]:
        """Ideal of an objective and the worst that is of use: a target where there is one."""
        targets = self.context.spec.targets
        if name == "quality":
            oracle = float(self.context.quality.max(axis=1).mean())
            lowest = float(self.context.quality.mean(axis=0).min())
            floor = targets.quality_min if targets.quality_min is not None else lowest
            return max(oracle, floor + 0.01), min(floor, oracle - 0.01)
        if name == "cost_per_hour":
            whole = sum(s.count * s.price_per_hour for s in self.context.supplies)
            return 0.0, min(targets.budget_per_hour or whole, whole)
        if is_maximised(name):
            rate = self.context.workload.rate_per_s if name == "goodput_per_s" else 1.0
            return rate, 0.0
        limit = targets.latency_limits().get(name)
        if limit is not None:
            return 0.0, limit
        if name in MIGRATION:
            # Past the limit by as much as one GPU, for it may be 0.
            most = max(estimate.metrics[name] for estimate in estimates)
            return 0.0, targets.migration_limits().get(name, most) + 1.0
        # The slower half of what chance finds is of no interest to anyone.
        return 0.0, float(np.median([estimate.metrics[name] for estimate in estimates]))


def nothing_decodes(nearest: Rejection) -> InfeasibleError:
    """Which constraint leaves no plan to be tried; `nearest` is the least that one is missed by."""
    where, mend = _BINDING[nearest.constraint]
    problem = f"no plan is feasible, {nearest.constraint} binds: {nearest.reason}"
    return InfeasibleError(problem, where=where, mend=mend)


_BINDING: Final = {
    "memory": (
        "models",
        "add a GPU with more memory, use fp8 or int4 weights, or leave the model out",
    ),
    "inventory": ("gpus", "add GPUs, or lower workload.rate_scale"),
    "budget": (
        "targets.budget_per_hour",
        "raise it, or add cheaper GPUs",
    ),
}
