"""What of a plan can change under a running fleet: routing, weights and keys.

This is Ray Serve's `user_config` of the ingress. Everything in it is plain JSON.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field

from boute.deployments.options import KeyLimits
from boute.documents import Document
from boute.files import sha256_of
from boute.plan.diff import deployed_part
from boute.plan.model import Plan, Routing
from boute.plan.store import plan_text
from boute.spec.load import gpu_card, resolve
from boute.spec.prices import gpu_price

__all__ = ["LiveConfig", "LivePool", "live_config", "plan_hashes"]


class LivePool(Document):
    """A pool as the ingress sees it: whose queries it takes, and what share of them."""

    name: str
    model: str
    weight: float
    gpu: str
    price_per_hour: float = Field(description="US dollars for all its replicas")


class LiveConfig(Document):
    """The setting of a running ingress.

    `router_folder` is absolute. `keys` maps the SHA-256 of a key to its limits; with None the
    server is open, with an empty map nobody gets in.
    """

    plan: str
    plan_hash: str
    fleet_hash: str = Field(description="of what only a redeployment changes")
    routing: Routing
    router_folder: str | None
    pools: list[LivePool]
    quality: float = Field(description="expected mean quality of the routing")
    request_limits: dict[str, float] = Field(description="seconds of ttft, tpot, e2e for goodput")
    keys: dict[str, KeyLimits] | None = None


def plan_hashes(plan: Plan) -> dict[str, str]:
    """`plan_hash` and `fleet_hash` of a LiveConfig."""
    return {
        "plan_hash": sha256_of(plan_text(plan)),
        "fleet_hash": sha256_of(json.dumps(deployed_part(plan), sort_keys=True)),
    }


def live_config(plan: Plan, folder: Path, keys: dict[str, KeyLimits] | None) -> LiveConfig:
    """The live part of a plan; `folder` is the plan's. Raise ProfileError or SpecError."""
    router = plan.routing.router
    supplies = plan.spec.gpus
    prices = {
        name: gpu_price(name, supplies[name], gpu_card(name, supplies[name], folder))
        for name in {pool.gpu for pool in plan.pools}
    }
    return LiveConfig(
        plan=plan.name,
        **plan_hashes(plan),
        routing=plan.routing,
        router_folder=None if router is None else str(resolve(router, folder).absolute()),
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
        quality=plan.predicted.quality,
        request_limits=plan.spec.targets.request_limits(),
        keys=keys,
    )
