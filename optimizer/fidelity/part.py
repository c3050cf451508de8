"""What becomes of one model's queries on its own pools, a part of a plan that nothing else changes.

Two plans that differ in the pools of one model share the parts of all others, so a part is worked
out once and remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from boute.optimizer.options import Placed
from boute.workload.arrays import Floats

__all__ = ["Part", "PartKey", "PartSource", "merged"]


@dataclass(frozen=True, eq=False)
class Part:
    """Latencies in seconds by name of the requests that were served, and sums over all.

    `within_limits` counts requests that meet every latency target, `tokens` are generated ones,
    `dynamic_j` is energy above the `idle_w` of all replicas, `end_s` the time of the last token.
    """

    latencies: dict[str, Floats]
    within_limits: int
    tokens: int
    dynamic_j: float
    idle_w: float
    end_s: float
    utilisation: float
    unstable: bool

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return sum(values.nbytes for values in self.latencies.values())


class PartKey(NamedTuple):
    """A model, the scores that it takes queries of (the lower bound left out), and its replicas."""

    model: int
    above: float
    up_to: float
    placed: Placed


class PartSource(Protocol):
    """Something that works out parts, from n requests over `duration_s`.

    `is_whole` says whether those are the whole workload and the parts are just what a full
    evaluation finds; `drains` whether the time after the last arrival counts, as it does there.
    """

    is_whole: bool
    drains: bool
    requests: int
    duration_s: float

    def part(self, key: PartKey, share: float) -> tuple[Part, int]:
        """A part and the work that it took; `share` is that of all requests in the workload.

        Work is in microseconds of an unhurried core, counted and not timed, so that it is the same
        on every machine.
        """
        ...


def merged(pools: Sequence[Part]) -> Part:
    """The part of several pools together."""
    if len(pools) == 1:
        return pools[0]
    return Part(
        latencies={
            name: np.concatenate([pool.latencies[name] for pool in pools])
            for name in pools[0].latencies
        },
        within_limits=sum(pool.within_limits for pool in pools),
        tokens=sum(pool.tokens for pool in pools),
        dynamic_j=sum(pool.dynamic_j for pool in pools),
        idle_w=sum(pool.idle_w for pool in pools),
        end_s=max(pool.end_s for pool in pools),
        utilisation=max(pool.utilisation for pool in pools),
        unstable=any(pool.unstable for pool in pools),
    )
