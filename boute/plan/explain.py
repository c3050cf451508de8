"""Why a plan is as it is: how far each constraint is, which one binds, and what better would cost.

It reads one plan and the objectives of the other plans of its front. It searches for nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from boute.metrics import is_maximised
from boute.outcome import Outcome, PoolOutcome
from boute.plan.model import Alternative, Plan
from boute.plan.words import (
    change_text,
    interval_text,
    metric_label,
    metric_text,
    moved_text,
    number_text,
    seconds_text,
)

__all__ = [
    "BINDING_MARGIN",
    "SMALLEST_GAIN",
    "Explanation",
    "GpuUse",
    "NextBetter",
    "TargetMargin",
    "explain",
    "robustness_lines",
    "target_margins",
]

BINDING_MARGIN: Final = 0.05
"""A constraint with less than this relative margin is said to bind."""
SMALLEST_GAIN: Final = 0.005
"""A relative improvement below this would vanish in the rounding of what is shown."""


@dataclass(frozen=True)
class TargetMargin:
    """A target and what is predicted: `margin` is the relative room left, negative when missed.

    `interval` is that of the prediction over resamples of the workload, where it was asked for.
    """

    target: str
    metric: str
    limit: float
    predicted: float
    margin: float
    interval: tuple[float, float] | None = None

    @property
    def met(self) -> bool:
        """Whether the prediction is within the limit, give or take the rounding of a sum."""
        return self.margin >= -1e-9

    def line(self) -> str:
        """The target in words."""
        bound = "at least" if is_maximised(self.metric) else "at most"
        room = f"{abs(self.margin):.0%} to spare" if self.met else f"missed by {-self.margin:.0%}"
        value = metric_text(self.metric, self.predicted)
        limit = metric_text(self.metric, self.limit)
        if self.interval is not None and self.interval[0] < self.interval[1]:
            value += f" ({interval_text(self.metric, self.interval)})"
        return f"{metric_label(self.metric)}: {value}, asked {bound} {limit} ({room})."


@dataclass(frozen=True)
class GpuUse:
    """GPUs of one type that a plan takes of those on offer."""

    gpu: str
    used: int
    count: int


@dataclass(frozen=True)
class NextBetter:
    """The cheapest other plan of the front that improves an objective; None when there is none."""

    objective: str
    plan: str | None
    changes: dict[str, tuple[float, float]]

    def line(self) -> str:
        """The step in words."""
        label = metric_label(self.objective)
        if self.plan is None:
            return f"{label}: no plan of the front is better."
        own = change_text(self.objective, *self.changes[self.objective])
        others = [
            f"{metric_label(metric)} {change_text(metric, *values)}"
            for metric, values in self.changes.items()
            if metric != self.objective
        ]
        return f"{label}: {self.plan} takes it from {own}, with {'; '.join(others)}."


@dataclass(frozen=True)
class Explanation:
    """What holds a plan back and what the next better ones cost."""

    plan: str
    margins: tuple[TargetMargin, ...]
    gpus: tuple[GpuUse, ...]
    binding: str
    next_better: tuple[NextBetter, ...]
    headroom: tuple[str, ...]
    robustness: tuple[str, ...]
    start_up: tuple[str, ...]
    migration: str | None = None

    def sections(self) -> dict[str, list[str]]:
        """The explanation in words, by heading."""
        sections = {
            "What binds": [self.binding],
            "Targets": [margin.line() for margin in self.margins] or ["None were set."],
            "GPUs": [f"{use.gpu}: {use.used} of {use.count} in use." for use in self.gpus],
            "Next better": [step.line() for step in self.next_better],
            "Headroom": list(self.headroom),
            "Other draws of the same traffic": list(self.robustness),
            "Start-up": list(self.start_up),
            "From what runs": [self.migration] if self.migration else [],
        }
        return {heading: lines for heading, lines in sections.items() if lines}


def explain(plan: Plan, alternatives: Sequence[Alternative] = ()) -> Explanation:
    """Explain a plan against `alternatives`, by default those that it carries itself."""
    others = [other for other in alternatives or plan.alternatives if other.plan != plan.name]
    margins, gpus = target_margins(plan), _gpu_use(plan)
    return Explanation(
        plan=plan.name,
        margins=margins,
        gpus=gpus,
        binding=_binding(margins, gpus),
        next_better=tuple(_next_better(plan, metric, others) for metric in plan.objectives),
        headroom=tuple(_headroom(pool) for pool in plan.predicted.pools),
        robustness=tuple(robustness_lines(plan)),
        start_up=tuple(_start_up(pool) for pool in plan.predicted.pools if pool.ready),
        migration=_migration(plan.predicted),
    )


def target_margins(plan: Plan) -> tuple[TargetMargin, ...]:
    """Each target of the plan's spec with what is predicted, in the order of `Targets`."""
    asked = plan.spec.targets.limits().items()
    return tuple(_margin(plan, target, metric, limit) for target, (metric, limit) in asked)


def _margin(plan: Plan, target: str, metric: str, limit: float) -> TargetMargin:
    predicted = plan.predicted.value(metric)
    room = predicted - limit if is_maximised(metric) else limit - predicted
    # A floor of zero cannot be missed and has no relative margin; that no GPU moves can be missed.
    margin = room / limit if limit else 1.0 if room >= 0.0 else room
    drawn = plan.predicted.robustness is not None
    interval = plan.predicted.interval(metric) if drawn else None
    return TargetMargin(target, metric, limit, predicted, margin, interval)


def _gpu_use(plan: Plan) -> tuple[GpuUse, ...]:
    used: Counter[str] = Counter()
    for pool in plan.pools:
        used[pool.gpu] += pool.gpus
    return tuple(GpuUse(gpu, used[gpu], supply.count) for gpu, supply in plan.spec.gpus.items())


def _binding(margins: Sequence[TargetMargin], gpus: Sequence[GpuUse]) -> str:
    missed = [margin for margin in margins if not margin.met]
    if missed:
        worst = min(missed, key=lambda margin: margin.margin)
        return f"A target is missed. {worst.line()}"
    tight = sorted(
        (margin for margin in margins if margin.margin < BINDING_MARGIN),
        key=lambda margin: margin.margin,
    )
    sentences = [margin.line() for margin in tight]
    exhausted = [use for use in gpus if use.used and use.used >= use.count]
    sentences += [f"All {use.count} {use.gpu} are in use." for use in exhausted]
    if sentences:
        return " ".join(sentences)
    text = "No constraint binds: what better would cost is all that holds the plan where it is."
    if not margins:
        return text
    nearest = min(margins, key=lambda margin: margin.margin)
    return f"{text} The nearest: {nearest.line()}"


def _next_better(plan: Plan, metric: str, others: Sequence[Alternative]) -> NextBetter:
    """The other plan that improves a metric at the lowest cost.

    With a cost among the other objectives that cost decides; otherwise the least sum of relative
    losses in the other objectives.
    """
    better = [other for other in others if _gain(plan, other, metric) > SMALLEST_GAIN]
    if not better:
        return NextBetter(metric, None, {})
    cost = "cost_per_hour"

    def price(other: Alternative) -> tuple[float, float, str]:
        if metric != cost and cost in plan.objectives and cost in other.objectives:
            return other.objectives[cost], _loss(plan, other), other.plan
        return _loss(plan, other), -_gain(plan, other, metric), other.plan

    best = min(better, key=price)
    changes = {
        name: (value, best.objectives[name])
        for name, value in plan.objectives.items()
        if name in best.objectives
    }
    return NextBetter(metric, best.plan, changes)


def _gain(plan: Plan, other: Alternative, metric: str) -> float:
    """Relative improvement of a metric; 0 when the other plan does not state it."""
    before = plan.objectives[metric]
    change = other.objectives.get(metric, before) - before
    return (change if is_maximised(metric) else -change) / (abs(before) or 1.0)


def _loss(plan: Plan, other: Alternative) -> float:
    return sum(max(0.0, -_gain(plan, other, metric)) for metric in plan.objectives)


def _headroom(pool: PoolOutcome) -> str:
    if pool.utilisation <= 0:
        return f"{pool.pool} is idle."
    more = f"room for {number_text(1 / pool.utilisation)} times its load"
    room = more if pool.utilisation < 1 else "no room for more load"
    text = f"{pool.pool} runs at {pool.utilisation:.0%} of what it can carry: {room}"
    return f"{text}; its KV cache peaks at {pool.kv_peak:.0%}; {pool.verdict}."


def robustness_lines(plan: Plan) -> list[str]:
    """What becomes of a plan over resamples of its workload, in sentences; none if not known."""
    found = plan.predicted.robustness
    if found is None:
        return []
    lines = [
        f"{metric_label(metric)}: {interval_text(metric, ends)}."
        for metric, ends in found.intervals.items()
        if ends[0] < ends[1]
    ]
    lines.append(
        f"Those are {found.confidence:.0%} intervals, from {found.resamples} resamples of the "
        f"workload; the plan keeps all targets in {found.keeps_targets:.0%} of the draws"
        + (f" and is unstable in {found.unstable:.0%}." if found.unstable else ".")
    )
    if found.load_margin is not None:
        lines.append(_load_margin(found.load_margin, found.load_limit))
    return lines


def _load_margin(margin: float, limit: str | None) -> str:
    if limit is None:
        return f"It takes {1.0 + margin:.0f} times the load without missing anything."
    what = "it is unstable" if limit == "stability" else f"it misses targets.{limit}"
    if margin < 0.01:
        return f"It takes no more load: with 2% more {what}."
    return f"It takes {margin:.0%} more load; beyond that {what}."


def _start_up(pool: PoolOutcome) -> str:
    assert pool.ready is not None
    warm, cold = seconds_text(pool.ready.warm_s), seconds_text(pool.ready.cold_s)
    return (
        f"A replica of {pool.pool} answers {warm} after its start, {cold} where nothing is "
        f"compiled yet (±{pool.ready.error:.0%})."
    )


def _migration(predicted: Outcome) -> str | None:
    if predicted.moved_gpus is None or predicted.migration_s is None:
        return None
    if predicted.moved_gpus == 0:
        return "No replica starts or stops."
    moved = moved_text(predicted.moved_gpus)
    if predicted.migration_s == 0.0:
        return f"{moved}; no replica starts."
    return f"{moved}; the fleet is whole after {seconds_text(predicted.migration_s)}."
