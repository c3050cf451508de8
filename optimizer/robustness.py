"""How a plan is judged: on its workload, or over resamples of it as well.

The interval of a metric is the range of RESAMPLES independent draws. Whatever the distribution, one
more draw falls within the range of n with probability (n - 1) / (n + 1), and beyond one end of it
with 1 / (n + 1) (Wilks, Annals of Mathematical Statistics 1941): 19 give an interval of 90% whose
worse end is missed one time in twenty. The plan's own outcome counts as one more draw. Quality has
the interval of the table's rows at the same confidence, which is known without drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from boute.evaluate import evaluate
from boute.optimizer.constraints import misses
from boute.optimizer.load_margin import load_margin
from boute.outcome import Outcome, Robustness
from boute.plan.decision import Decision
from boute.resamples import Resamples
from boute.routing.expected import expected_quality
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
    draws = [as_it_is(decision, resamples)]
    while draws[-1].verdict != "unstable" and len(draws) <= RESAMPLES:
        draws.append(as_it_is_in(decision, resamples, len(draws) - 1))
    return _with_robustness(draws, decision, resamples)


def in_full(decision: Decision, resamples: Resamples) -> Outcome:
    """The outcome with intervals, and with how much more load the plan takes."""
    draws = [as_it_is(decision, resamples)]
    draws += [as_it_is_in(decision, resamples, number) for number in range(RESAMPLES)]
    outcome = _with_robustness(draws, decision, resamples)
    assert outcome.robustness is not None
    margin, limit = load_margin(decision, resamples.context, draws[0])
    found = outcome.robustness.model_copy(update={"load_margin": margin, "load_limit": limit})
    return outcome.model_copy(update={"robustness": found})


def as_it_is_in(decision: Decision, resamples: Resamples, number: int) -> Outcome:
    """The outcome in one resample."""
    context = resamples[number]
    return evaluate(decision, context.workload, context)


def metrics_of(spec: Spec) -> tuple[str, ...]:
    """Metrics that have intervals: objectives, those with a target, quality and price."""
    limits = [*spec.targets.latency_limits(), *spec.targets.migration_limits()]
    return tuple(dict.fromkeys([*spec.objectives, *limits, "quality", "cost_per_hour"]))


def _with_robustness(draws: Sequence[Outcome], decision: Decision, resamples: Resamples) -> Outcome:
    """The first of the draws, the plan's own outcome, with what all of them say."""
    context = resamples.context
    spec, thresholds = context.spec, decision.routing.thresholds
    intervals = {}
    for metric in metrics_of(spec):
        values = [found.value(metric) for found in draws]
        intervals[metric] = min(values), max(values)
    quality = expected_quality(context.quality, context.score, thresholds, CONFIDENCE)
    intervals["quality"] = quality.low, quality.high
    robustness = Robustness(
        resamples=len(draws) - 1,
        confidence=CONFIDENCE,
        intervals=intervals,
        unstable=float(np.mean([found.verdict == "unstable" for found in draws])),
        keeps_targets=float(np.mean([not misses(found, spec.targets) for found in draws])),
    )
    return draws[0].model_copy(update={"robustness": robustness})
