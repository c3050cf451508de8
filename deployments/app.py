"""The Ray Serve application of a plan: a deployment a pool, and the ingress in front of them.

`boute serve` deploys it; so does `serve run boute.deployments.app:build plan=plan.yaml`, and a
Serve config file that names `boute.deployments.app:build` with the same arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ray import serve

from boute.deployments.cluster import INGRESS
from boute.deployments.engines.arguments import engine_env
from boute.deployments.engines.settings import EngineSettings
from boute.deployments.fleet import BuildArguments, Fleet, load_fleet, pool_settings
from boute.deployments.ingress import Ingress
from boute.deployments.placement import placement
from boute.deployments.pool_server import PoolServer
from boute.documents import check_document

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = ["build"]

# Beyond what the ingress admits, some room for those that it turns away with a 429.
_ROOM_TO_REFUSE: Final = 1000


def build(arguments: dict[str, Any]) -> Application:
    """The application; raise PlanError, ProfileError or InputError for what cannot be served.

    `arguments` are those of `boute.deployments.fleet.BuildArguments`.
    """
    fleet = load_fleet(check_document(arguments, BuildArguments, where="arguments"))
    settings = pool_settings(fleet)
    pools = {name: _pool(fleet, settings[name]) for name in fleet.pool_names}
    options = fleet.options
    ingress = serve.deployment(
        name=INGRESS,
        num_replicas=options.ingress_replicas,
        max_ongoing_requests=options.limits.max_concurrency + _ROOM_TO_REFUSE,
        user_config=fleet.live.model_dump(mode="json"),
        graceful_shutdown_timeout_s=options.limits.drain_s,
        graceful_shutdown_wait_loop_s=0.2,
        ray_actor_options={"num_cpus": 0},
    )
    return ingress(Ingress).bind(options.model_dump(mode="json"), pools)


def _pool(fleet: Fleet, settings: EngineSettings) -> Application:
    where = placement(settings)
    where["ray_actor_options"]["runtime_env"] = {"env_vars": engine_env(settings)}
    deployment = serve.deployment(
        name=settings.pool,
        max_ongoing_requests=fleet.options.max_ongoing_requests,
        graceful_shutdown_timeout_s=fleet.options.limits.drain_s,
        graceful_shutdown_wait_loop_s=0.2,
        health_check_timeout_s=60,
        **_replicas(fleet, settings.pool),
        **where,
    )
    return deployment(PoolServer).bind(settings.model_dump(mode="json"))


def _replicas(fleet: Fleet, name: str) -> dict[str, Any]:
    planned = next(pool.replicas for pool in fleet.plan.pools if pool.name == name)
    scaling = fleet.options.autoscaling.get(name)
    if scaling is None:
        return {"num_replicas": planned}
    return {"autoscaling_config": {**scaling.model_dump(), "initial_replicas": planned}}
