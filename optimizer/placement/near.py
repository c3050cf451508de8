"""The best placement near to what runs: the program of a routing, with a limit on moves.

For options o of which h[o] replicas run, with n[o] and g[o] as in a program of `build`:

    added, removed    a[o] - r[o]  =  n[o] - h[o]
    moves             sum of g[o] (a[o] + r[o])  <=  most - what stops anyway
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from boute.optimizer.options import Option
from boute.optimizer.placement.build import Program

__all__ = ["build_near"]


def build_near(
    program: Program, held: Mapping[Option, int], stopping: int, most_moved: int
) -> Program:
    """A program of a routing with at most `most_moved` GPUs that change hands.

    `held` are the replicas of options that run, `stopping` the GPUs of those of no option.
    """
    options = program.options
    n, width = len(options), len(program.cost)
    sizes = np.array([float(option.gpus) for option in options])
    unused = sum(count * option.gpus for option, count in held.items() if option not in options)
    change = np.hstack([np.eye(n, width), -np.eye(n), np.eye(n)])
    moves = np.concatenate([np.zeros(width), sizes, sizes])
    runs = np.array([float(held.get(option, 0)) for option in options])
    rows = np.vstack([np.pad(np.asarray(program.rows), ((0, 0), (0, 2 * n))), change, moves])
    return replace(
        program,
        cost=np.pad(program.cost, (0, 2 * n)),
        rows=rows,
        low=np.concatenate([program.low, runs, [-np.inf]]),
        high=np.concatenate([program.high, runs, [float(most_moved - stopping - unused)]]),
        whole=np.pad(program.whole, (0, 2 * n)),
    )
