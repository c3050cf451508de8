"""What of a plan can change under a running fleet: routing, weights and keys.

This is Ray Serve's `user_config` of the ingress. Everything in it is plain JSON.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from boute.deployments.options import KeyLimits
from boute.documents import Document
from boute.files import sha256_of
from boute.plan.model import Plan, Routing
from boute.plan.store import plan_text
from boute.spec.load import resolve

__all__ = ["LiveConfig", "LivePool", "live_config"]


class LivePool(Document):
    """A pool as the ingress sees it: whose queries it takes, and what share of them."""

    name: str
    model: str
    weight: float
    gpu: str
    price_per_hour: float = Field(description="US dollars for all its replicas")


class LiveConfig(Document):
    """The setting of a running ingress.

    `router_file` is absolute. `keys` maps the SHA-256 of a key to its limits; with None the server
    is open, with an empty map nobody gets in.
    """

    plan: str
    plan_hash: str
    routing: Routing
    router_file: str | None
    pools: list[LivePool]
    keys: dict[str, KeyLimits] | None = None


def live_config(
    plan: Plan, folder: Path, prices: dict[str, float], keys: dict[str, KeyLimits] | None
) -> LiveConfig:
    """The live part of a plan; `folder` is the plan's, `prices` are dollars an hour of one GPU."""
    router = plan.routing.router
    return LiveConfig(
        plan=plan.name,
        plan_hash=sha256_of(plan_text(plan)),
        routing=plan.routing,
        router_file=None if router is None else str(resolve(router, folder).absolute()),
        pools=[
            LivePool(
                name=pool.name,
                model=pool.model,
                weight=pool.weight,
                gpu=pool.gpu,
                price_per_hour=pool.gpus * prices[pool.gpu],
            )
            for pool in plan.pools
        ],
        keys=keys,
    )
