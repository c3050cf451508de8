"""Plans near the fleet that runs: for some routings the cheapest within so many moves.

Points of the cube decode to whatever is best in itself, so that a search with a limit on moves, or
one that trades them off, would hardly meet such plans by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from boute.context import Context
from boute.optimizer.assemble import assemble
from boute.optimizer.decoder import FULLEST
from boute.optimizer.options import Option
from boute.optimizer.placement.build import build_cheapest
from boute.optimizer.placement.decode import placement_of
from boute.optimizer.placement.near import build_near
from boute.optimizer.placement.solve import solve
from boute.optimizer.problem import Problem
from boute.plan.decision import Decision
from boute.plan.migration import Kind, running_fleet
from boute.plan.model import Routing
from boute.workload.arrays import Floats

__all__ = ["plans_near_current"]

# Programs take about ten milliseconds: routings x fullnesses x limits of them are solved.
ROUTINGS: Final = 24
_FULLNESSES: Final = (FULLEST, 0.6)
_SHARES: Final = (0.2, 0.4, 0.6, 0.8)

# Limits on moves where none is set, as parts of the GPUs that run.
_PARTS: Final = (0.0, 0.15, 0.4)


def plans_near_current(problem: Problem, routings: Sequence[Routing]) -> list[Decision]:
    """Plans for `routings`, and for mixes of two neighbouring models, near the fleet that runs."""
    context = problem.context
    held, stopping = _held(problem)
    mixes = map(problem.decoder.routing_for, _mixes(problem.encoding.models))
    wanted = {tuple(routing.thresholds): routing for routing in [*routings, *mixes]}
    found: dict[str, Decision] = {}
    for routing in list(wanted.values())[:ROUTINGS]:
        load = np.array(routing.fractions) * context.workload.rate_per_s
        for fullness in _FULLNESSES:
            cheapest = build_cheapest(problem.table.options, context.supplies, load, fullness)
            for limit in _limits(context):
                program = build_near(cheapest, held, stopping, limit)
                placement = placement_of(program, solve(program))
                if placement is not None:
                    decision = assemble(context, routing, placement)
                    found.setdefault(decision.key, decision)
    return list(found.values())


def _held(problem: Problem) -> tuple[dict[Option, int], int]:
    """Replicas that run of each option, and the GPUs of those that are none."""
    context = problem.context
    running = running_fleet(context.current or ())
    kinds = {_kind(context, option): option for option in problem.table.options}
    held = {kinds[kind]: count for kind, count in running.items() if kind in kinds}
    return held, sum(count * kind.gpus for kind, count in running.items() if kind not in kinds)


def _kind(context: Context, option: Option) -> Kind:
    choice = context.family[option.model].choice
    return Kind(
        choice.name,
        choice.weights,
        choice.kv_cache,
        context.supplies[option.gpu].name,
        option.tensor_parallel,
        option.pipeline_parallel,
    )


def _limits(context: Context) -> list[int]:
    """Most GPUs that change hands: none, half of the limit, and the limit."""
    limit = context.spec.targets.moved_gpus_max
    if limit is not None:
        return sorted({0, limit // 2, limit})
    runs = sum(count * kind.gpus for kind, count in running_fleet(context.current or ()).items())
    return sorted({round(part * runs) for part in _PARTS})


def _mixes(models: int) -> Iterator[Floats]:
    for model in range(models):
        yield np.eye(models)[model]
    for low, high in pairwise(range(models)):
        for share in _SHARES:
            yield np.eye(models)[low] * (1.0 - share) + np.eye(models)[high] * share
