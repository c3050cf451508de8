"""Plans of a search judged on a trace that it has not seen: the whole one, drawn with another seed.

Latency, quality and price at the spec's rate, for every plan of a front; and the highest rate at
which a plan keeps the targets, for the few that may carry the most at a level of quality.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from boute.context import Context, prepare
from boute.errors import InputError
from boute.evaluate import evaluate
from boute.metrics import LATENCIES
from boute.optimizer.constraints import misses
from boute.outcome import Outcome
from boute.plan.decision import Decision
from boute.spec.load import load_spec
from boute.spec.model import Spec

__all__ = ["LEVELS", "OTHER_SEED", "Judged", "judge", "latency_objective", "quality_levels"]

OTHER_SEED: Final = 1000
"""Seed of the workload that plans are judged on; searches see that of their spec, 0."""

LEVELS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of quality, between the floor of the spec and what the best model alone reaches."""

_STEP: Final = 1.05
_MOST_STEPS: Final = 28
_CARRIERS: Final = 2


@dataclass(frozen=True)
class Judged:
    """A plan on the other trace. `rate` is the highest times the spec's, where it was sought.

    `feasible` says whether it keeps every target of the spec there too.
    """

    quality: float
    latency_s: float
    cost_per_hour: float
    feasible: bool
    rate: float | None = None


def judge(spec_file: Path, decisions: Sequence[Decision]) -> dict[str, Any]:
    """Every plan judged, as JSON, with the levels of quality that plans are compared at."""

    @cache
    def outcome(place: int, step: int) -> Outcome | None:
        context = _scaled(spec_file, step)
        try:
            return evaluate(decisions[place], context.workload, context)
        except InputError:  # a longer request than any of the search's does not fit
            return None

    def keeps(place: int, step: int) -> bool:
        found = outcome(place, step)
        return found is not None and not misses(found, context.spec.targets)

    context = _scaled(spec_file, 0)
    latency = latency_objective(context.spec)
    plans = {
        place: _judged(found, latency, keeps(place, 0))
        for place in range(len(decisions))
        if (found := outcome(place, 0)) is not None
    }
    levels = quality_levels(context)
    for place in _carriers(plans, levels):
        step = _last_kept(partial(keeps, place))
        plans[place] = replace(plans[place], rate=_STEP**step)
    return {"levels": levels, "plans": [asdict(plan) for plan in plans.values()]}


def quality_levels(context: Context) -> list[float]:
    """From the floor of the spec to what the best model alone reaches, in equal steps."""
    best = float(context.quality.mean(axis=0).max())
    lowest = float(context.quality.mean(axis=0).min())
    floor = lowest if context.spec.targets.quality_min is None else context.spec.targets.quality_min
    return [floor + share * (best - floor) for share in LEVELS]


def latency_objective(spec: Spec) -> str:
    """The first of a spec's objectives that is a latency."""
    return next(name for name in spec.objectives if name.split("_")[0] in LATENCIES)


@cache
def _scaled(spec_file: Path, step: int) -> Context:
    """The spec's whole trace at the other seed, `step` steps above its rate."""
    spec = load_spec(spec_file)
    source = spec.workload
    changed = {"seed": OTHER_SEED, "rate_scale": source.rate_scale * _STEP**step}
    workload = source.model_copy(update=changed | {"duration_s": None, "max_requests": None})
    return prepare(spec.model_copy(update={"workload": workload}), spec_file.parent)


def _judged(outcome: Outcome, latency: str, feasible: bool) -> Judged:
    return Judged(outcome.quality, outcome.value(latency), outcome.cost_per_hour, feasible)


def _carriers(plans: dict[int, Judged], levels: Sequence[float]) -> set[int]:
    """Of each level the plans with the least latency: whoever carries most is likely there."""
    found: set[int] = set()
    for level in levels:
        able = [place for place, plan in plans.items() if plan.feasible and plan.quality >= level]
        found |= {*sorted(able, key=lambda place: plans[place].latency_s)[:_CARRIERS]}
    return found


def _last_kept(keeps: Callable[[int], bool]) -> int:
    """The last step at which a plan keeps its targets, which it does at 0; by bisection."""
    low, high = 0, _MOST_STEPS
    while low < high:
        middle = (low + high + 1) // 2
        if keeps(middle):
            low = middle
        else:
            high = middle - 1
    return low
