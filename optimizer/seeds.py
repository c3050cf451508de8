"""Plans worth trying first: greedy ones, and exact placements for a few routings.

For fixed fractions and fullness the cheapest placement is a small integer program over the option
table: whole replicas that cover each model's load within the inventory. It is written as build,
solve and decode.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from boute.optimizer.decoder import EMPTIEST, FULLEST
from boute.optimizer.encoding import Point
from boute.optimizer.options import Option
from boute.optimizer.problem import Problem
from boute.workload.arrays import Floats

__all__ = ["cheapest_placement", "greedy_points", "placement_points"]

_HEADROOMS: Final = (0.15, 0.5)
_HASTES: Final = (0.0, 0.999)

# The integer programs are tiny; the limit guards against the one that is not.
_MILP_SECONDS: Final = 0.5


def greedy_points(problem: Problem) -> list[Point]:
    """Each routing of the ladder on the GPU type that is cheapest a request for each model."""
    encoding = problem.encoding
    preferences = np.zeros((encoding.models, encoding.gpus))
    for model in range(encoding.models):
        prices = [
            min((option.price_per_request for option in choices), default=np.inf)
            for choices in (problem.table.choices(model, gpu) for gpu in range(encoding.gpus))
        ]
        preferences[model, int(np.argmin(prices))] = 1.0
    return [
        encoding.join(
            fractions,
            preferences,
            np.full(encoding.models, headroom),
            np.full(encoding.models, haste),
        )
        for fractions in _ladder(encoding.models)
        for headroom in _HEADROOMS
        for haste in _HASTES
    ]


def placement_points(problem: Problem) -> list[Point]:
    """The cheapest placement within the inventory for each routing of the ladder."""
    points = []
    for fractions in _ladder(problem.encoding.models):
        for headroom in _HEADROOMS:
            fullness = FULLEST - headroom * (FULLEST - EMPTIEST)
            counts = cheapest_placement(problem, fractions, fullness)
            if counts is not None:
                points.append(_encode(problem, fractions, counts, fullness))
    return points


def cheapest_placement(
    problem: Problem, fractions: Floats, fullness: float
) -> dict[Option, int] | None:
    """Replicas of each option at least cost an hour, or None where the inventory is too small.

    `fractions` [K] of the load; pools are filled to `fullness` at most. Node boundaries are left
    to the decoder.
    """
    options = [option for option in problem.table.options if fractions[option.model] > 0.0]
    supplies = problem.context.supplies
    carries = np.zeros((problem.encoding.models, len(options)))
    takes = np.zeros((len(supplies), len(options)))
    for column, option in enumerate(options):
        carries[option.model, column] = option.goodput_per_s
        takes[option.gpu, column] = option.gpus
    load = fractions * problem.context.workload.rate_per_s / fullness
    if not options or np.any((load > 0.0) & (carries.sum(axis=1) == 0.0)):
        return None
    result = milp(
        c=np.array([option.price_per_hour for option in options]),
        integrality=np.ones(len(options), dtype=np.int64),
        bounds=Bounds(0.0, np.inf),
        constraints=[
            LinearConstraint(carries, lb=load),
            LinearConstraint(takes, ub=np.array([float(supply.count) for supply in supplies])),
        ],
        options={"time_limit": _MILP_SECONDS, "mip_rel_gap": 0.01},
    )
    if result.x is None:
        return None
    counts = np.rint(result.x).astype(int)
    return {option: int(n) for option, n in zip(options, counts, strict=True) if n > 0}


def _encode(
    problem: Problem, fractions: Floats, counts: dict[Option, int], fullness: float
) -> Point:
    """The point whose decoding comes nearest to a placement."""
    encoding = problem.encoding
    carried = np.zeros((encoding.models, encoding.gpus))
    for option, count in counts.items():
        carried[option.model, option.gpu] += count * option.goodput_per_s
    haste = np.zeros(encoding.models)
    need = fractions * problem.context.workload.rate_per_s / fullness
    for option in counts:
        asked = carried[option.model, option.gpu] / carried[option.model].sum() * need[option.model]
        choices = problem.table.choices_at(
            option.model, option.gpu, asked, _room(problem, option.gpu)
        )
        if option in choices:
            haste[option.model] = (choices.index(option) + 0.5) / len(choices)
    headroom = (FULLEST - fullness) / (FULLEST - EMPTIEST)
    favourite = carried.max(axis=1, keepdims=True)
    share = np.divide(carried, favourite, out=np.zeros_like(carried), where=favourite > 0.0)
    # The upper half of a preference is the part that counts: see the encoding.
    preferences = np.where(share > 0.0, 0.5 + 0.5 * share, 0.0)
    return encoding.join(fractions, preferences, np.full(encoding.models, headroom), haste)


def _room(problem: Problem, gpu: int) -> int:
    """GPUs of a whole node of a type."""
    supply = problem.context.supplies[gpu]
    return min(supply.card.node_gpus, supply.count)


def _ladder(models: int) -> Iterator[Floats]:
    """Routings from all on the cheapest model to all on the dearest, by way of neighbours."""
    for low in range(models):
        yield np.eye(models)[low]
        for high in range(low + 1, models):
            for share in (0.2, 0.5, 0.8):
                yield np.eye(models)[low] * (1.0 - share) + np.eye(models)[high] * share
