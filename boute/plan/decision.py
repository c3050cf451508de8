"""What a candidate decides, before anything is predicted of it: routing and pools."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from boute.files import sha256_of
from boute.plan.model import Plan, Pool, Routing, check_pools

__all__ = ["Decision", "decision_of"]


@dataclass(frozen=True)
class Decision:
    """Which queries go to which model, and on what each model runs.

    Raises ValueError when a model takes queries but has no pool.
    """

    routing: Routing
    pools: tuple[Pool, ...]

    def __post_init__(self) -> None:
        check_pools(self.routing, list(self.pools))

    @cached_property
    def key(self) -> str:
        """Hash of the decision: two candidates with one key are one evaluation."""
        return sha256_of(
            self.routing.model_dump_json(exclude={"router", "router_hash"}),
            *(pool.model_dump_json() for pool in self.pools),
        )

    def gpu_counts(self) -> dict[str, int]:
        """GPUs taken of each type."""
        counts: dict[str, int] = {}
        for pool in self.pools:
            counts[pool.gpu] = counts.get(pool.gpu, 0) + pool.gpus
        return counts


def decision_of(plan: Plan) -> Decision:
    """The decision that a plan file holds."""
    return Decision(routing=plan.routing, pools=tuple(plan.pools))
