"""How a plan is judged: on its workload, or over resamples of it as well.

The interval of a metric is the range of RESAMPLES independent draws. Whatever the distribution, one
more draw falls within the range of n with probability (n - 1) / (n + 1), and beyond one end of it
with 1 / (n + 1) (Wilks, Annals of Mathematical Statistics 1941): 19 give an interval of 90% whose
worse end is missed one time in twenty. The plan's own outcome counts as one more draw. Quality has
the interval of the table's rows at the same confidence, which is known without drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.context import Context
from boute.evaluate import evaluate
from boute.optimizer.constraints import Judged, misses
from boute.optimizer.load_margin import load_margin
from boute.outcome import Outcome, Robustness
from boute.plan.decision import Decision
from boute.resamples import Resamples
from boute.running import pool_loads
from boute.simulated import simulated
from boute.spec.model import Spec

__all__ = ["CONFIDENCE", "RESAMPLES", "Judge", "as_it_is", "at_its_worst", "in_full", "metrics_of"]

RESAMPLES: Final = 19
"""The least number whose range is an interval of 90%."""

CONFIDENCE: Final = (RESAMPLES - 1) / (RESAMPLES + 1)

Judge = Callable[[Decision, Resamples], Outcome]
"""How a plan is judged. A function of a module, so that it can be sent to a worker."""


def as_it_is(decision: Decision, resamples: Resamples) -> Outcome:
    """The outcome on the workload itself."""
    return evaluate(decision, resamples.context.workload, resamples.context)


def at_its_worst(decision: Decision, resamples: Resamples) -> Outcome:
    """The outcome with intervals, given up where the plan is unstable.

    A plan that does not drain its queues once is not feasible at its pessimistic end, and what its
    latencies would be elsewhere says nothing.
    """
    outcome = as_it_is(decision, resamples)
    draws = []
    for draw in _draws(decision, resamples, outcome):
        draws.append(draw)
        if draw.unstable:
            break
    return _with_robustness(outcome, draws, decision, resamples.context)


def in_full(decision: Decision, resamples: Resamples) -> Outcome:
    """The outcome with intervals, and with how much more load the plan takes."""
    outcome = as_it_is(decision, resamples)
    margin, limit = load_margin(decision, resamples.context, outcome)
    draws = list(_draws(decision, resamples, outcome))
    found = _with_robustness(outcome, draws, decision, resamples.context).robustness
    assert found is not None
    found = found.model_copy(update={"load_margin": margin, "load_limit": limit})
    return outcome.model_copy(update={"robustness": found})


def metrics_of(spec: Spec) -> tuple[str, ...]:
    """Metrics that have intervals: objectives, those with a target, quality and price."""
    limits = [*spec.targets.latency_limits(), *spec.targets.migration_limits()]
    return tuple(dict.fromkeys([*spec.objectives, *limits, "quality", "cost_per_hour"]))


@dataclass(frozen=True)
class _Draw:
    """What intervals need of one world: metrics by name, and whether the plan is good there."""

    values: dict[str, float]
    unstable: bool
    keeps_targets: bool


def _draws(decision: Decision, resamples: Resamples, outcome: Outcome) -> Iterator[_Draw]:
    """The outcome itself, then each resample once it is asked for."""
    spec = resamples.context.spec
    yield _draw(outcome, spec)
    loads = pool_loads(decision, resamples.context)
    for number in range(RESAMPLES):
        context = resamples[number]
        yield _draw(simulated(decision, context.workload, context, loads), spec)


def _draw(found: Judged, spec: Spec) -> _Draw:
    # Quality has an interval of its own.
    values = {name: found.value(name) for name in metrics_of(spec) if name != "quality"}
    return _Draw(values, found.verdict == "unstable", not misses(found, spec.targets))


def _with_robustness(
    outcome: Outcome, draws: Sequence[_Draw], decision: Decision, context: Context
) -> Outcome:
    """The outcome with what all draws say; it is the first of them."""
    quality = context.expected(decision.routing, CONFIDENCE)
    intervals = {"quality": (quality.low, quality.high)}
    for metric in draws[0].values:
        values = [draw.values[metric] for draw in draws]
        intervals[metric] = min(values), max(values)
    robustness = Robustness(
        resamples=len(draws) - 1,
        confidence=CONFIDENCE,
        intervals={metric: intervals[metric] for metric in metrics_of(context.spec)},
        unstable=float(np.mean([draw.unstable for draw in draws])),
        keeps_targets=float(np.mean([draw.keeps_targets for draw in draws])),
    )
    return outcome.model_copy(update={"robustness": robustness})
