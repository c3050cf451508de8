"""Every placement and every routing of a small case.

A placement is a number of replicas of each option, so memory is respected before anything is
listed; inventory, node size and budget prune as it is built up. Routings are all load fractions in
whole steps that keep the quality floor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb

import numpy as np

from boute.context import Supply
from boute.optimizer.assemble import Placement
from boute.optimizer.inventory import rooms_by_size
from boute.optimizer.options import Option
from boute.workload.arrays import Floats

__all__ = ["compositions", "count_compositions", "count_placements", "placements"]


def compositions(parts: int, steps: int) -> Iterator[Floats]:
    """All fractions [parts] in whole steps of 1 / steps, those of the first part falling."""
    for bars in combinations(range(steps + parts - 1), parts - 1):
        edges = np.array([-1, *bars, steps + parts - 1])
        yield (np.diff(edges) - 1)[::-1] / steps


def count_compositions(parts: int, steps: int) -> int:
    """How many `compositions` there are."""
    return comb(steps + parts - 1, parts - 1)


def placements(
    options: Sequence[Option],
    models: Sequence[int],
    supplies: Sequence[Supply],
    budget_per_hour: float | None = None,
) -> Iterator[Placement]:
    """Every placement of options that serves each of the models, and no other.

    Whole replicas within nodes and, if given, within the budget, one after another.
    """
    wanted = sorted(models)
    usable = sorted((o for o in options if o.model in wanted), key=lambda option: option.model)
    rooms = [rooms_by_size(supply) for supply in supplies]
    budget = np.inf if budget_per_hour is None else budget_per_hour * (1.0 + 1e-9)

    def extend(index: int, placed: dict[Option, int], left: float) -> Iterator[Placement]:
        served = {option.model for option in placed}
        # Options are in order of model: a model that was passed over stays without a replica.
        ahead = usable[index].model if index < len(usable) else np.inf
        if any(model not in served and model < ahead for model in wanted):
            return
        if index == len(usable):
            yield dict(placed)
            return
        yield from extend(index + 1, placed, left)
        option = usable[index]
        room = rooms[option.gpu]
        shrinking = [size for size in room if size <= option.gpus]
        replicas = 0
        while option.price_per_hour <= left and all(room[s] >= option.gpus for s in shrinking):
            replicas += 1
            left -= option.price_per_hour
            for size in shrinking:
                room[size] -= option.gpus
            placed[option] = replicas
            yield from extend(index + 1, placed, left)
        placed.pop(option, None)
        for size in shrinking:
            room[size] += replicas * option.gpus

    yield from extend(0, {}, budget)


def count_placements(
    options: Sequence[Option], models: Sequence[int], supplies: Sequence[Supply]
) -> int:
    """How many placements serve each of the models and no other, whatever they cost.

    GPU types are independent of each other but for each model having a replica somewhere, which
    is counted by inclusion and exclusion. Node boundaries are left out: it is at most a little more
    than the number of `placements` without a budget.
    """
    total = 0
    for size in range(len(models) + 1):
        for chosen in combinations(models, size):
            ways = 1
            for gpu, supply in enumerate(supplies):
                sizes = [o.gpus for o in options if o.gpu == gpu and o.model in chosen]
                ways *= _fillings(sizes, supply.count)
            total += (-1) ** (len(models) - size) * ways
    return total


def _fillings(sizes: Sequence[int], count: int) -> int:
    """In how many ways replicas of these sizes take at most `count` GPUs."""
    ways = [1] + [0] * count
    for size in sizes:
        for taken in range(size, count + 1):
            ways[taken] += ways[taken - size]
    return sum(ways)
