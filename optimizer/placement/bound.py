"""What no plan of the capacity table can cost less than, whatever its routing.

The routing is a variable too. Cuts between models lie at whole percents of the queries, as in the
encoding; a routing is a path over them, model by model, and one unit of flow follows it:

    x[m, a, b]        1 where model m takes the queries between the cuts at a and b percent
    flow              one path from 0 to 100 percent
    quality           sum of what m scores on those queries, times x  >=  the floor
    capacity          u r n of m's options  >=  the load between the cuts, times x
    rooms, cheapest   as for a fixed routing

It is solved with whole replicas and split paths first, as that takes HiGHS a fraction of the time;
where the path is split there, then with whole paths in what is left of the time. The bound holds
for plans at most FULLEST of what the table says they carry within the latency targets: all plans
that points decode to. It is a bound on that model and not on the simulator, which may find that a
cheaper, fuller plan still keeps the targets.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from scipy.sparse import csr_array, hstack, vstack

from boute.optimizer.decoder import FULLEST
from boute.optimizer.encoding import SHARE_STEPS
from boute.optimizer.options import ROUNDING
from boute.optimizer.placement.build import Program, room_rows
from boute.optimizer.placement.solve import relaxed, solve
from boute.optimizer.problem import Problem
from boute.routing.thresholds import thresholds_for
from boute.workload.arrays import Floats

__all__ = ["SECONDS", "CostBound", "build_bound", "cost_bound"]

SECONDS: Final = 3.0
"""What HiGHS gets for a bound if nothing else is said."""

# HiGHS looks at the clock between steps, of which the first takes about as long.
_LEAST_S: Final = 1.0


class CostBound(NamedTuple):
    """Dollars an hour that no plan of the table is below: replicas split, and replicas whole."""

    relaxed: float
    whole: float


class _Arc(NamedTuple):
    model: int
    start: int
    end: int
    share: float
    quality: float


def cost_bound(problem: Problem, *, seconds: float = SECONDS) -> CostBound | None:
    """The bound for the targets of a problem; infinite where the table has no plan at all.

    It takes `seconds` and what HiGHS needs to notice, up to a second more. None for another policy
    than thresholds: what its models take is no stretch between two cuts.
    """
    if problem.context.spec.quality.policy != "thresholds":
        return None
    end_s = time.monotonic() + seconds
    program = build_bound(problem)
    loose = relaxed(program)
    replicas = np.arange(len(program.whole)) < len(program.options)
    split = solve(replace(program, whole=replicas.astype(np.int64)), seconds=seconds)
    best = max(loose, split.bound)
    left_s = end_s - time.monotonic()
    if left_s < _LEAST_S or split.columns is None or _is_whole(split.columns[~replicas]):
        return CostBound(loose, best)
    # Presolving whole paths can take longer than to prove their optimum without it.
    return CostBound(loose, max(best, solve(program, seconds=left_s, presolve=False).bound))


def _is_whole(values: Floats) -> bool:
    return bool(np.allclose(values, np.round(values), rtol=0.0, atol=1e-6))


def build_bound(problem: Problem) -> Program:
    """The program of the cheapest plan with any routing in whole percents."""
    options, context = problem.table.options, problem.context
    arcs = _arcs(problem)
    n, models = len(options), problem.encoding.models
    capacity = np.zeros((models, n + len(arcs)))
    for column, option in enumerate(options):
        # What rounding may leave uncovered is the decoder's to give.
        carried = FULLEST * option.goodput_per_s * (1.0 + 4.0 * ROUNDING)
        capacity[option.model, column] = carried
    for column, arc in enumerate(arcs, start=n):
        capacity[arc.model, column] = -arc.share * context.workload.peak_rate_per_s
    taken, room = room_rows(options, context.supplies)
    flow, balance = _flow(arcs, models)
    quality = np.array([[arc.quality for arc in arcs]])
    floor = (context.spec.targets.quality_min or 0.0) - _slack(problem)
    rows = vstack(
        [
            csr_array(capacity),
            csr_array(np.pad(taken, ((0, 0), (0, len(arcs))))),
            hstack([csr_array((flow.shape[0], n)), flow]),
            csr_array(np.pad(quality, ((0, 0), (n, 0)))),
        ]
    )
    return Program(
        options=options,
        cost=np.concatenate([[option.price_per_hour for option in options], np.zeros(len(arcs))]),
        rows=csr_array(rows),
        low=np.concatenate([np.zeros(models), np.full(len(room), -np.inf), balance, [floor]]),
        high=np.concatenate([np.full(models, np.inf), room, balance, [np.inf]]),
        whole=np.ones(n + len(arcs), dtype=np.int64),
    )


def _arcs(problem: Problem) -> list[_Arc]:
    """Every stretch of queries that a model may take between two cuts."""
    context = problem.context
    cuts = np.arange(SHARE_STEPS + 1) / SHARE_STEPS
    thresholds = [thresholds_for(context.score, [cut, 1.0 - cut])[0] for cut in cuts]
    below = np.array([problem.decoder.load_fractions(np.array([t]))[0] for t in thresholds])
    scored = np.array(
        [context.quality[context.score <= t].sum(axis=0) / len(context.score) for t in thresholds]
    )
    last = problem.encoding.models - 1
    return [
        _Arc(m, a, b, float(below[b] - below[a]), float(scored[b, m] - scored[a, m]))
        for m in range(last + 1)
        for a in (range(SHARE_STEPS + 1) if m else (0,))
        for b in (range(a, SHARE_STEPS + 1) if m < last else (SHARE_STEPS,))
    ]


def _flow(arcs: list[_Arc], models: int) -> tuple[csr_array, Floats]:
    """What flows into each cut less what flows out of it, by model, and what it has to be."""
    size = SHARE_STEPS + 1
    leaves = [arc.model * size + arc.start for arc in arcs]
    enters = [(arc.model + 1) * size + arc.end for arc in arcs]
    signs = np.repeat([-1.0, 1.0], len(arcs))
    places = (leaves + enters, [*range(len(arcs))] * 2)
    balance = np.zeros((models + 1) * size)
    balance[0], balance[-1] = -1.0, 1.0
    return csr_array((signs, places), shape=(len(balance), len(arcs))), balance


def _slack(problem: Problem) -> float:
    """Quality of the rows that a cut at just half a row may or may not take, by rounding."""
    rows = len(problem.context.score)
    halves = any(rows * cut % SHARE_STEPS * 2 == SHARE_STEPS for cut in range(SHARE_STEPS))
    return (problem.encoding.models - 1) / rows if halves else 1e-9
