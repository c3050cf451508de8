"""In which order the pools of a model are asked."""

from __future__ import annotations

from collections.abc import Sequence

from boute.deployments.live import LivePool

__all__ = ["PoolOrder"]


class PoolOrder:
    """Deals the queries of one model to its pools by weight.

    Smooth weighted round-robin (nginx, `ngx_http_upstream_round_robin`): each time every pool gains
    its weight, the pool that has most is chosen and pays the sum of all. No pool is ever a whole
    query ahead of its share, and turns are spread evenly.
    """

    def __init__(self, pools: Sequence[LivePool]) -> None:
        self._weights = {pool.name: pool.weight for pool in pools}
        self._total = sum(self._weights.values())
        self._credit = dict.fromkeys(self._weights, 0.0)
        self._by_weight = sorted(self._weights, key=lambda name: -self._weights[name])

    def turn(self) -> str:
        """The pool whose turn it is."""
        credit = self._credit
        if len(credit) == 1:
            return self._by_weight[0]
        for name, weight in self._weights.items():
            credit[name] += weight
        chosen = max(credit, key=credit.__getitem__)
        credit[chosen] -= self._total
        return chosen

    def others(self, pool: str) -> list[str]:
        """The pools but one, the one with most weight first."""
        return [name for name in self._by_weight if name != pool]
