"""The Ray Serve config file of a plan: what `serve deploy` and a RayService's serveConfigV2 take.

Placement is not in it: the application makes its deployments from the plan when it is built.
Routing, weights and keys are in it, as `user_config` of the ingress, because a change of that alone
restarts nothing.
"""

from __future__ import annotations

from typing import Any

from boute.deployments.cluster import application_config
from boute.deployments.emit.bundle import Bundle

__all__ = ["serve_config"]


def serve_config(bundle: Bundle, folder: str) -> dict[str, Any]:
    """The config when the bundle's files are in `folder` on every node."""
    mine = application_config(bundle.arguments(folder), bundle.live_in(folder))
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": bundle.options.host, "port": bundle.options.port},
        "applications": [mine],
    }
