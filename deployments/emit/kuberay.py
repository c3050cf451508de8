"""A RayService manifest: routing in serveConfigV2, placement in worker groups.

What KubeRay changes in place is the Serve config; what is in rayClusterConfig rolls out as another
cluster, little by little. The ConfigMap is named by what a redeployment changes, so another fleet
becomes another cluster and another threshold does not.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from boute.deployments.emit.bundle import Bundle
from boute.deployments.emit.image import ray_version
from boute.deployments.emit.nodes import Pods, pods_of
from boute.deployments.emit.serve_config import serve_config
from boute.deployments.emit.text import to_yaml
from boute.deployments.engines.settings import EngineSettings
from boute.deployments.placement import placement
from boute.errors import InputError, PlanError

__all__ = ["FOLDER", "HEAD", "NAME", "kuberay"]

NAME: Final = "boute"
FOLDER: Final = "/etc/boute"
SECRET: Final = "boute"
PORT: Final = 8000

_LABELS: Final = {"app.kubernetes.io/part-of": NAME}
HEAD: Final = _LABELS | {"ray.io/node-type": "head"}
"""Labels by which the pods of the heads are found: ours, and one that KubeRay sets."""

_MOST_BYTES: Final = 2**20  # of a ConfigMap
# Starting points that fit the smallest machine that clouds rent with one GPU of a type.
_CPUS_PER_GPU: Final = 3
_GIB_PER_GPU: Final = 24
_HEAD_CPUS: Final = 2
_HEAD_GIB: Final = 8

# Of the resource that names a pod: on it, without taking a part that anyone would miss.
_A_TRACE: Final = 0.001

_PRODUCT: Final = "nvidia.com/gpu.product"
# The value of that label, which NVIDIA's GPU feature discovery makes of the product's name.
_PRODUCTS: Final = {
    "a10g": "NVIDIA-A10G",
    "a100-40gb": "NVIDIA-A100-SXM4-40GB",
    "a100-80gb": "NVIDIA-A100-SXM4-80GB",
    "a40": "NVIDIA-A40",
    "b200": "NVIDIA-B200",
    "h100-pcie": "NVIDIA-H100-PCIe",
    "h100-sxm": "NVIDIA-H100-80GB-HBM3",
    "h200": "NVIDIA-H200",
    "l4": "NVIDIA-L4",
    "l40s": "NVIDIA-L40S",
    "rtx-4090": "NVIDIA-GeForce-RTX-4090",
    "t4": "Tesla-T4",
    "v100-32gb": "Tesla-V100-SXM2-32GB",
}
_RESOURCES: Final = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}


def kuberay(
    bundle: Bundle, *, image: str, gateway_class: str, selectors: Mapping[str, Mapping[str, str]]
) -> str:
    """The manifest, a ConfigMap and a RayService.

    `selectors` has the node selector of each GPU type that is not found by NVIDIA's product label.
    Raises PlanError, or InputError for a GPU type without a selector.
    """
    config = f"{NAME}-{bundle.identity}"
    shapes = pods_of(bundle)
    groups = [_group(pods, bundle, image, config, selectors) for pods in shapes]
    serve = serve_config(bundle, FOLDER)
    serve["applications"][0]["deployments"] += [
        _placed(pods, bundle.settings[pool]) for pods in shapes for pool in pods.pools
    ]
    return to_yaml(
        [_config_map(bundle, config), _service(bundle, image, config, gateway_class, serve, groups)]
    )


def _config_map(bundle: Bundle, name: str) -> dict[str, Any]:
    texts, binaries = {}, {}
    for file, data in sorted(bundle.files.items()):
        if file.endswith((".yaml", ".json")):
            texts[file] = data.decode()
        else:
            binaries[file] = base64.b64encode(data).decode()
    size = sum(map(len, [*texts.values(), *binaries.values()]))
    if size > _MOST_BYTES:
        raise PlanError(
            f"the plan and its router take {size} bytes, and a ConfigMap holds {_MOST_BYTES}",
            where="routing.router",
            mend="use --target ray with a folder that all nodes share",
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": texts,
        "binaryData": binaries,
    }


def _service(
    bundle: Bundle,
    image: str,
    config: str,
    gateway_class: str,
    serve: dict[str, Any],
    groups: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": NAME},
        "spec": {
            "upgradeStrategy": {
                "type": "NewClusterWithIncrementalUpgrade",
                "clusterUpgradeOptions": {
                    "gatewayClassName": gateway_class,
                    "maxSurgePercent": 20,
                    "stepSizePercent": 10,
                    "intervalSeconds": 30,
                },
            },
            "serveConfigV2": to_yaml([serve]),
            "rayClusterConfig": {
                "rayVersion": ray_version(),
                # The incremental upgrade needs it, to move GPUs from one cluster to the other.
                "enableInTreeAutoscaling": True,
                "authOptions": {"mode": "token"},
                "headGroupSpec": _head(bundle, image, config),
                "workerGroupSpecs": groups,
            },
        },
    }


def _head(bundle: Bundle, image: str, config: str) -> dict[str, Any]:
    size = {"cpu": str(_HEAD_CPUS), "memory": f"{_HEAD_GIB}Gi"}
    ports = {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "serve": PORT}
    container = _container("ray-head", bundle, image) | {
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
        "resources": {"requests": size, "limits": size},
    }
    # KubeRay puts the name of the RayService on the cluster and not on its pods.
    template = {"metadata": {"labels": _LABELS}} | _template(container, config, {})
    # No replica of a pool belongs on the head.
    return {"rayStartParams": {"num-cpus": "0"}, "template": template}


def _group(
    pods: Pods,
    bundle: Bundle,
    image: str,
    config: str,
    selectors: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    container = _container("ray-worker", bundle, image) | {"resources": _resources(pods)}
    return {
        "groupName": pods.name,
        # The autoscaler brings up what Serve's replicas ask for, so that of two clusters in an
        # upgrade each has the GPUs of its share.
        "replicas": 0,
        "minReplicas": 0,
        "maxReplicas": pods.most,
        "rayStartParams": {},
        # Beside the cores, memory and GPUs that KubeRay and the autoscaler read off the container.
        "resources": _named(pods),
        "template": _template(container, config, _selector(pods, selectors)),
    }


def _named(pods: Pods) -> dict[str, str]:
    """Resources of a pod that the autoscaler could not know while there is none."""
    kind = pods.card.ray_accelerator_type
    return {pods.name: "1"} | ({} if kind is None else {f"accelerator_type:{kind}": "1"})


def _placed(pods: Pods, settings: EngineSettings) -> dict[str, Any]:
    """Puts the replicas of a pool on its pods: the application's own bundles, and their name."""
    where = placement(settings)
    bundles = where.get("placement_group_bundles") or [{"CPU": 1}]
    return {
        "name": settings.pool,
        "placement_group_bundles": [{**bundle, pods.name: _A_TRACE} for bundle in bundles],
        "placement_group_strategy": where.get("placement_group_strategy", "STRICT_PACK"),
    }


def _resources(pods: Pods) -> dict[str, Any]:
    if pods.card.vendor == "cpu":
        size = {"cpu": str(pods.gpus), "memory": f"{int(pods.card.memory_gib) * pods.gpus}Gi"}
        return {"requests": size, "limits": size}
    size = {
        "cpu": str(_CPUS_PER_GPU * pods.gpus),
        "memory": f"{_GIB_PER_GPU * pods.gpus}Gi",
        _RESOURCES[pods.card.vendor]: str(pods.gpus),
    }
    return {"requests": size, "limits": size}


def _selector(pods: Pods, selectors: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    if pods.gpu in selectors:
        return dict(selectors[pods.gpu])
    if pods.card.vendor == "cpu":
        return {}
    if pods.card.vendor == "nvidia" and pods.card.name in _PRODUCTS:
        return {_PRODUCT: _PRODUCTS[pods.card.name]}
    raise InputError(
        f"nothing says which nodes have {pods.gpu}",
        where="--node-selector",
        mend=f"give --node-selector {pods.gpu}=LABEL=VALUE",
    )


def _template(container: dict[str, Any], config: str, selector: dict[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "containers": [container],
        "volumes": [{"name": "plan", "configMap": {"name": config}}],
    }
    if selector:
        spec["nodeSelector"] = selector
        # Of nodes that take nothing without GPUs; it does no harm elsewhere.
        gpus = [name for name in _RESOURCES.values() if name in container["resources"]["limits"]]
        spec["tolerations"] = [
            {"key": name, "operator": "Exists", "effect": "NoSchedule"} for name in gpus
        ]
    return {"spec": spec}


def _container(name: str, bundle: Bundle, image: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "env": [
            {"name": "RAY_SERVE_THROUGHPUT_OPTIMIZED", "value": "1"},
            *(_from_secret(variable) for variable in bundle.secrets()),
        ],
        "volumeMounts": [{"name": "plan", "mountPath": FOLDER, "readOnly": True}],
    }


def _from_secret(variable: str) -> dict[str, Any]:
    reference = {"name": SECRET, "key": variable, "optional": True}
    return {"name": variable, "valueFrom": {"secretKeyRef": reference}}
