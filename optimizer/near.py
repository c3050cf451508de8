"""Plans near the fleet that runs: that fleet with other routings, and the best within some moves.

Points of the cube decode to whatever is best in itself, so that a search with a limit on moves, or
one that trades them off, would hardly meet such plans by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from boute.context import Context
from boute.optimizer.assemble import Placement, assemble
from boute.optimizer.decoder import FULLEST
from boute.optimizer.inventory import Inventory
from boute.optimizer.options import Option
from boute.optimizer.placement.build import Program, build_cheapest, build_fastest
from boute.optimizer.placement.decode import placement_of
from boute.optimizer.placement.near import build_near
from boute.optimizer.placement.solve import solve
from boute.optimizer.problem import Problem
from boute.plan.decision import Decision
from boute.plan.migration import Kind, running_fleet
from boute.plan.model import Routing
from boute.workload.arrays import Floats

__all__ = ["kind_of_option", "plans_near_current"]

# Programs take some ten milliseconds each; two are solved for each routing and limit.
ROUTINGS: Final = 12

# Shares of the dearer of two neighbouring models: many for the fleet as it is, which costs nothing.
_FINE: Final = np.linspace(0.05, 0.95, 19)
_COARSE: Final = (0.2, 0.4, 0.6, 0.8)

# Limits on moves where none is set, as parts of the GPUs that run.
_PARTS: Final = (0.15, 0.4)


def plans_near_current(problem: Problem, routings: Sequence[Routing]) -> list[Decision]:
    """Plans near the fleet that runs, for `routings` and for mixes of two neighbouring models."""
    models = problem.encoding.models
    held, stopping = _held(problem)
    found = [_live(problem, held, each) for each in [*routings, *_mixes(problem, models, _FINE)]]
    wanted = [*routings[: ROUTINGS // 2], *_mixes(problem, models, _COARSE)]
    for routing in {each.setting: each for each in wanted[:ROUTINGS]}.values():
        for program in _programs(problem, routing):
            for limit in _limits(problem.context):
                near = build_near(program, held, stopping, limit)
                placement = placement_of(near, solve(near))
                if placement is not None:
                    found.append(assemble(problem.context, routing, placement))
    return list({each.key: each for each in found if each}.values())


def _live(problem: Problem, held: Placement, routing: Routing) -> Decision | None:
    """The fleet as it is under a routing, as far as that uses it; None where it cannot be had."""
    used = {option: n for option, n in held.items() if routing.asked[option.model] > 0.0}
    served = {option.model for option in used}
    if any(share and model not in served for model, share in enumerate(routing.asked)):
        return None
    inventory = Inventory(problem.context.supplies)
    for option in sorted(used, key=lambda option: -option.gpus):
        if inventory.take(option.gpu, option.gpus, used[option]) < used[option]:
            return None
    return assemble(problem.context, routing, used)


def _programs(problem: Problem, routing: Routing) -> Iterator[Program]:
    """The cheapest placement, and the fastest within the budget."""
    options, context = problem.table.options, problem.context
    load = np.array(routing.asked) * context.workload.peak_rate_per_s
    yield build_cheapest(options, context.supplies, load, FULLEST)
    budget = context.spec.targets.budget_per_hour or np.inf
    yield build_fastest(options, context.supplies, load, budget)


def _held(problem: Problem) -> tuple[dict[Option, int], int]:
    """Replicas that run of each option, and the GPUs of those that are none."""
    context = problem.context
    running = running_fleet(context.current or ())
    kinds = {kind_of_option(context, option): option for option in problem.table.options}
    held = {kinds[kind]: count for kind, count in running.items() if kind in kinds}
    return held, sum(count * kind.gpus for kind, count in running.items() if kind not in kinds)


def kind_of_option(context: Context, option: Option) -> Kind:
    """What replicas of an option are among those that run."""
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
    """Most GPUs that change hands: half of the limit, and the limit."""
    limit = context.spec.targets.moved_gpus_max
    if limit is None:
        runs = running_fleet(context.current or ())
        gpus = sum(count * kind.gpus for kind, count in runs.items())
        return sorted({max(round(part * gpus), 1) for part in _PARTS})
    return sorted({limit // 2, limit} - {0})


def _mixes(problem: Problem, models: int, shares: Sequence[float] | Floats) -> list[Routing]:
    one = np.eye(models)
    fractions = [one[model] for model in range(models)]
    fractions += [one[low] * (1.0 - share) + one[high] * share
                  for low, high in pairwise(range(models)) for share in shares]  # fmt: skip
    return [problem.decoder.routing_for(each) for each in fractions]
