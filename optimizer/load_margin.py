"""How much more load a plan takes before it is unstable or misses a target.

The same requests come in less time, as `rate_scale` of a spec has it. Where the busiest pool is
offered as much as it carries there is no need to simulate; below, the load is bisected, taking for
granted that what a plan misses under some load it also misses under more.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Final

from boute.context import Context
from boute.optimizer.constraints import Judged, misses
from boute.outcome import Outcome
from boute.plan.decision import Decision
from boute.running import pool_loads
from boute.simulated import simulated
from boute.simulation.fleet import PoolLoad
from boute.workload.arrays import Workload

__all__ = ["load_margin"]

RESOLUTION: Final = 1.02
"""Ratio of two loads that are not told apart."""

MOST: Final = 16.0
"""Times the load at which nobody asks on."""


def load_margin(decision: Decision, context: Context, now: Outcome) -> tuple[float, str | None]:
    """Relative margin, 0.3 being 30% more load, and what is missed beyond it.

    `now` is the outcome at the load of the context.
    That is `stability` or the name of a target; None when nothing is missed at MOST times the load.
    The margin of a plan that misses something as it is, is 0.
    """
    already = _worst_missed(now, context)
    if already is not None:
        return 0.0, already
    kept, limit = 1.0, "stability"
    missed = 1.0 / max(now.utilisation, 1.0 / MOST)
    run = partial(_missed, decision, context, pool_loads(decision, context))
    if missed == MOST and (found := run(MOST)) is not None:
        limit = found
    elif missed == MOST:
        return MOST - 1.0, None
    while missed / kept > RESOLUTION:
        middle = math.sqrt(kept * missed)
        found = run(middle)
        if found is None:
            kept = middle
        else:
            missed, limit = middle, found
    return kept - 1.0, limit


def _missed(decision: Decision, context: Context, pools: list[PoolLoad], load: float) -> str | None:
    """What a plan misses most under `load` times its load, if anything."""
    return _worst_missed(simulated(decision, _at(context.workload, load), context, pools), context)


def _worst_missed(outcome: Judged, context: Context) -> str | None:
    found = misses(outcome, context.spec.targets)
    return max(found, key=lambda name: found[name]) if found else None


def _at(workload: Workload, load: float) -> Workload:
    return replace(
        workload, arrival_s=workload.arrival_s / load, duration_s=workload.duration_s / load
    )
