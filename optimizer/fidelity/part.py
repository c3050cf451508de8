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

__all__ = ["Part", "PartKey", "PartSource", "after", "merged", "sums_of"]


@dataclass(frozen=True, eq=False)
class Part:
    """Latencies in seconds by name of the requests that were served, and sums over all.

    `within_limits` counts requests that meet every latency target, `tokens` are generated ones,
    `dynamic_j` is energy above the `idle_w` of all replicas, `end_s` the time of the last token.
    In a cascade those served are the requests that the model answers, and energy is of all that it
    is asked; `left_s` [2, n] has, of each of the source's requests, the seconds from its arrival
    until this model is done with it, and how many of them it was in queues. It is infinite where
    the request failed.
    """

    latencies: dict[str, Floats]
    within_limits: int
    tokens: int
    dynamic_j: float
    idle_w: float
    end_s: float
    utilisation: float
    unstable: bool
    left_s: Floats | None = None

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        left = 0 if self.left_s is None else self.left_s.nbytes
        return left + sum(values.nbytes for values in self.latencies.values())


class PartKey(NamedTuple):
    """A model, its part of the policy's setting, which says what it is asked, and its replicas.

    In a cascade also the model that was asked before it, if any.
    """

    model: int
    queries: tuple[float, ...]
    placed: Placed
    before: PartKey | None = None


class PartSource(Protocol):
    """Something that works out parts, from n requests over `duration_s`.

    `is_whole` says whether those are the whole workload and the parts are just what a full
    evaluation finds; `drains` whether the time after the last arrival counts, as it does there.
    """

    is_whole: bool
    drains: bool
    requests: int
    duration_s: float

    def part(self, key: PartKey, share: float, before: Part | None = None) -> tuple[Part, int]:
        """A part and the work that it took; `share` is that of all requests in the workload.

        `before` is the part of `key.before`.

        Work is in microseconds of an unhurried core, counted and not timed, so that it is the same
        on every machine.
        """
        ...


def sums_of(
    parts: Sequence[Part], source: PartSource, *, price_per_hour: float, rate_per_s: float
) -> dict[str, float]:
    """Every metric that is no latency and no quality, by name, of a plan made of parts.

    `rate_per_s` is that of the workload.
    """
    tokens = max(sum(part.tokens for part in parts), 1)
    attained = sum(part.within_limits for part in parts) / source.requests
    # What a window leaves to be done at its end would be done beside what comes after it.
    span_s = source.duration_s
    if source.drains:
        span_s = max(span_s, *(part.end_s for part in parts))
        rate_per_s = source.requests / span_s
    joules = sum(part.idle_w * span_s + part.dynamic_j for part in parts)
    return {
        "cost_per_hour": price_per_hour,
        "cost_per_million_tokens": price_per_hour / 3600.0 * span_s / tokens * 1e6,
        "energy_j_per_token": joules / tokens,
        "slo_attainment": attained,
        "goodput_per_s": attained * rate_per_s,
    }


def after(left_s: Floats, times: dict[str, Floats], *, streams: bool) -> dict[str, Floats]:
    """Times [n] of one stage of a cascade as those since the requests' arrival, [2, n] before.

    As the client has them: an answer that does not stream is there all at once.
    """
    waited_s, queued_s = left_s
    e2e = waited_s + times["e2e"]
    return {
        "ttft": waited_s + times["ttft"] if streams else e2e,
        "tpot": times["tpot"] if streams else np.zeros(len(e2e)),
        "e2e": e2e,
        "queue": queued_s + times["queue"],
    }


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
