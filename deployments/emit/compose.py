"""A Compose file for one machine: `boute serve` with the plan, Prometheus and Grafana."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from boute.deployments.emit.bundle import Bundle
from boute.deployments.emit.nodes import pods_of
from boute.deployments.emit.text import to_yaml
from boute.errors import PlanError

__all__ = ["FOLDER", "WEIGHTS", "compose", "provisioning"]

FOLDER: Final = "/etc/boute"
WEIGHTS: Final = "/models"
PORT: Final = 8000

PROMETHEUS: Final = "prom/prometheus:v3.5.0"
GRAFANA: Final = "grafana/grafana:12.1.0"


def compose(bundle: Bundle, *, image: str, build: bool, weights: dict[str, Path]) -> str:
    """The Compose file; `build` when there is a Dockerfile beside it.

    `weights` has the folder here of each model whose weights are mounted. Raises PlanError when the
    plan does not fit one machine.
    """
    mounts = [f"./plan-{bundle.identity}:{FOLDER}:ro"]
    mounts += [f"{folder}:{WEIGHTS}/{model}:ro" for model, folder in sorted(weights.items())]
    files = bundle.arguments(FOLDER)
    boute: dict[str, Any] = {
        "image": image,
        **({"build": "."} if build else {}),
        "command": ["boute", "serve", files.plan, "--options", files.options],
        "ports": [f"{PORT}:{PORT}"],
        "volumes": [*mounts, "huggingface:/home/ray/.cache/huggingface"],
        # Values come from the shell or a file .env, and only those that are set are passed on.
        "environment": bundle.secrets(),
        "shm_size": "8gb",
        "stop_grace_period": f"{int(bundle.options.limits.drain_s) + 30}s",
        "restart": "unless-stopped",
        **_devices(bundle),
    }
    prometheus = {
        "image": PROMETHEUS,
        "volumes": [
            "./prometheus.yml:/etc/prometheus/prometheus.yml:ro",
            "prometheus:/prometheus",
        ],
        "restart": "unless-stopped",
    }
    grafana = {
        "image": GRAFANA,
        "ports": ["127.0.0.1:3000:3000"],
        "volumes": [
            "./grafana/provisioning:/etc/grafana/provisioning:ro",
            "./grafana/boute.json:/etc/grafana/dashboards/boute.json:ro",
            "grafana:/var/lib/grafana",
        ],
        "restart": "unless-stopped",
    }
    services = {"boute": boute, "prometheus": prometheus, "grafana": grafana}
    volumes: dict[str, Any] = {"huggingface": {}, "prometheus": {}, "grafana": {}}
    return to_yaml([{"name": "boute", "services": services, "volumes": volumes}])


def provisioning() -> dict[str, str]:
    """Files that let Grafana find Prometheus and the dashboard by itself."""
    source = {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Prometheus",
                "type": "prometheus",
                "access": "proxy",
                "url": "http://prometheus:9090",
                "isDefault": True,
            }
        ],
    }
    folder = {
        "apiVersion": 1,
        "providers": [
            {"name": "boute", "type": "file", "options": {"path": "/etc/grafana/dashboards"}}
        ],
    }
    return {
        "grafana/provisioning/datasources/prometheus.yml": to_yaml([source]),
        "grafana/provisioning/dashboards/boute.yml": to_yaml([folder]),
    }


def _devices(bundle: Bundle) -> dict[str, Any]:
    """GPUs for the container; raise PlanError when they are not those of one machine."""
    pods = pods_of(bundle)
    kinds = {one.gpu: one.card for one in pods}
    if len(kinds) > 1:
        raise PlanError(
            f"the plan has pools on {' and '.join(sorted(kinds))}, and Compose runs on one machine",
            where="pools",
            mend="use --target kuberay or ray",
        )
    if not kinds or (card := next(iter(kinds.values()))).vendor == "cpu":
        return {}
    gpus = sum(one.gpus * one.count for one in pods)
    if gpus > card.node_gpus:
        raise PlanError(
            f"the plan takes {gpus} GPUs, a node of {card.name} has {card.node_gpus}, and Compose "
            "runs on one machine",
            where="pools",
            mend="use --target kuberay or ray",
        )
    if card.vendor == "amd":
        return {"devices": ["/dev/kfd", "/dev/dri"], "group_add": ["video", "render"]}
    device = {"driver": "nvidia", "count": gpus, "capabilities": ["gpu"]}
    return {"deploy": {"resources": {"reservations": {"devices": [device]}}}}
