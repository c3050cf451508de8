"""Placement for a fixed routing as a mixed-integer linear program over the option table.

For options o of model m(o) with price p, GPUs g and goodput r, fractions f, load L and fullness u:

    n[o]              whole replicas
    capacity          sum over o of m: u r[o] n[o]  >=  f[m] L             for each model m
    rooms             sum over o of g[o] >= s: g[o] n[o]  <=  room[s]      for each type and size s
    cheapest          minimise  sum of p[o] n[o]

The fastest placement within a budget splits what an option carries over levels l of fullness, at
each of which the formulas give a mean E2E latency t:

    y[o, l]           requests a second that replicas of o at level l take
    at that level     sum over l: y[o, l] / (u[l] r[o])  <=  n[o]
    load              sum over o of m and l: y[o, l]  =  f[m] L
    price             sum of p[o] n[o]  <=  budget
    fastest           minimise  sum of t[o, l] y[o, l] / L

Goodput is the highest rate within the latency targets, so those are kept by the table's reckoning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csr_array

from boute.context import Supply
from boute.optimizer.inventory import rooms_by_size
from boute.optimizer.options import Option
from boute.workload.arrays import Floats, Ints

__all__ = ["LEVELS", "Program", "build_cheapest", "build_fastest", "room_rows"]

# Fullness at which the latency of an option is looked up.
LEVELS: Final = (0.25, 0.5, 0.7, 0.85, 0.95)


@dataclass(frozen=True, eq=False)
class Program:
    """Minimise cost x, subject to low <= rows x <= high and x >= 0.

    `cost` [n], `rows` [m, n], `low` and `high` [m]. The first columns are the replicas of
    `options`; `whole` [n] says which columns are integers.
    """

    options: tuple[Option, ...]
    cost: Floats
    rows: Floats | csr_array
    low: Floats
    high: Floats
    whole: Ints


def build_cheapest(
    options: Sequence[Option],
    supplies: Sequence[Supply],
    load_per_s: Floats,
    fullness: float,
) -> Program:
    """The cheapest placement for loads [K], pools at most `fullness` of their goodput."""
    used = tuple(option for option in options if load_per_s[option.model] > 0.0)
    carries = np.zeros((len(load_per_s), len(used)))
    for column, option in enumerate(used):
        carries[option.model, column] = fullness * option.goodput_per_s
    taken, room = room_rows(used, supplies)
    return Program(
        options=used,
        cost=_prices(used),
        rows=np.vstack([carries, taken]),
        low=np.concatenate([load_per_s, np.full(len(room), -np.inf)]),
        high=np.concatenate([np.full(len(load_per_s), np.inf), room]),
        whole=np.ones(len(used), dtype=np.int64),
    )


def build_fastest(
    options: Sequence[Option],
    supplies: Sequence[Supply],
    load_per_s: Floats,
    budget_per_hour: float,
) -> Program:
    """The placement for loads [K] with the least mean E2E latency within a budget."""
    used = tuple(option for option in options if load_per_s[option.model] > 0.0)
    n, levels = len(used), len(LEVELS)
    width = n * (1 + levels)
    at_level = np.zeros((n, width))
    carries = np.zeros((len(load_per_s), width))
    cost = np.zeros(width)
    for place, option in enumerate(used):
        mine = slice(n + place * levels, n + (place + 1) * levels)
        at_level[place, place] = -1.0
        at_level[place, mine] = [1.0 / (level * option.goodput_per_s) for level in LEVELS]
        carries[option.model, mine] = 1.0
        cost[mine] = [_e2e_s(option, level) / load_per_s.sum() for level in LEVELS]
    taken, room = room_rows(used, supplies)
    replicas = np.vstack([taken, _prices(used)])
    limits = np.append(room, budget_per_hour)
    return Program(
        options=used,
        cost=cost,
        rows=np.vstack([at_level, carries, np.pad(replicas, ((0, 0), (0, n * levels)))]),
        low=np.concatenate([np.full(n, -np.inf), load_per_s, np.full(len(limits), -np.inf)]),
        high=np.concatenate([np.zeros(n), load_per_s, limits]),
        whole=np.repeat(np.array([1, 0]), [n, n * levels]),
    )


def room_rows(options: Sequence[Option], supplies: Sequence[Supply]) -> tuple[Floats, Floats]:
    """Rows [m, n] of GPUs taken by replicas of a size and larger, and the room [m] for them."""
    rows, limits = [], []
    for gpu, supply in enumerate(supplies):
        for size, room in rooms_by_size(supply).items():
            rows.append(
                [float(o.gpus) if o.gpu == gpu and o.gpus >= size else 0.0 for o in options]
            )
            limits.append(float(room))
    return np.array(rows).reshape(len(limits), len(options)), np.array(limits)


def _prices(options: Sequence[Option]) -> Floats:
    return np.array([option.price_per_hour for option in options])


def _e2e_s(option: Option, level: float) -> float:
    steady = option.at_rate(level * option.goodput_per_s)
    return steady.ttft_s + steady.tpot_s * (option.lengths.output_tokens - 1.0)
