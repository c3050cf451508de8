"""`--target kuberay`: a manifest of KubeRay's schema, and a Serve config of Ray's in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from boute.errors import InputError, PlanError

SCHEMA = Path(__file__).parent / "rayservice.schema.json"


@pytest.fixture
def manifest(emitted: Any) -> Callable[..., tuple[Any, Any]]:
    """The ConfigMap and the RayService of a plan, checked."""

    def make(plan: Path, *arguments: Any, **choices: Any) -> tuple[Any, Any]:
        jsonschema = pytest.importorskip("jsonschema")
        files = emitted(plan, "kuberay", *arguments, **choices)
        config_map, service = yaml.safe_load_all(files["rayservice.yaml"].read_text())
        jsonschema.validate(service, json.loads(SCHEMA.read_text()))
        # KubeRay refuses larger steps, and a JSON schema cannot.
        upgrade = service["spec"]["upgradeStrategy"]["clusterUpgradeOptions"]
        assert upgrade["stepSizePercent"] <= upgrade["maxSurgePercent"]
        return config_map, service

    return make


def groups_of(service: Any) -> dict[str, Any]:
    groups = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    return {group["groupName"]: group for group in groups}


def resources_of(group: Any) -> dict[str, int]:
    """What Ray's autoscaler takes a pod of a group to have."""
    from ray.autoscaler._private.kuberay.autoscaling_config import (
        _get_ray_resources_from_group_spec,
    )

    found: dict[str, int] = _get_ray_resources_from_group_spec(group, is_head=False)
    return found


def assert_kept(given: Any, taken: Any) -> None:
    """Everything that was given is there: Serve's schemas drop keys that they do not know."""
    if isinstance(given, dict):
        assert given.keys() <= taken.keys()
        for key, value in given.items():
            assert_kept(value, taken[key])
    elif isinstance(given, list):
        assert len(given) == len(taken)
        for one, other in zip(given, taken, strict=True):
            assert_kept(one, other)
    else:
        assert given == taken


def test_a_worker_group_for_each_shape_of_pod(
    plan_file: Callable[..., Path], manifest: Any
) -> None:
    _, service = manifest(plan_file())
    groups = groups_of(service)
    assert {name: group["maxReplicas"] for name, group in groups.items()} == {
        "l4-x1": 3,
        "a10g-x1": 3,
        "l40s-x1": 1,
        "h100-sxm-x2": 1,
    }
    spec = groups["h100-sxm-x2"]["template"]["spec"]
    assert spec["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert resources_of(groups["h100-sxm-x2"]) == {
        "CPU": 6,
        "GPU": 2,
        "memory": 48 * 2**30,
        "h100-sxm-x2": 1,
        "accelerator_type:H100": 1,
    }


def test_every_replica_of_a_pool_fits_a_pod_of_its_group(
    plan_file: Callable[..., Path], manifest: Any
) -> None:
    _, service = manifest(plan_file())
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    ingress, *pools = config["applications"][0]["deployments"]
    assert ingress["name"] == "Ingress"
    assert len(pools) == 4
    groups = groups_of(service)
    for pool in pools:
        (bundle,) = pool["placement_group_bundles"]
        (name,) = set(bundle) & set(groups)
        there = resources_of(groups[name])
        assert set(bundle) <= set(there)
        assert all(there[resource] >= amount for resource, amount in bundle.items())
        assert bundle["GPU"] == there["GPU"]


def test_pools_of_one_shape_share_a_group(
    plan_file: Callable[..., Path], one_machine: Any, manifest: Any
) -> None:
    _, service = manifest(plan_file(one_machine))
    found = {name: group["maxReplicas"] for name, group in groups_of(service).items()}
    assert found == {"l40s-x1": 4, "l40s-x2": 1}


def test_the_pods_have_what_the_application_is_built_from(
    plan_file: Callable[..., Path], manifest: Any, tmp_path: Path
) -> None:
    config_map, service = manifest(plan_file())
    files = {*config_map["data"], *config_map["binaryData"]}
    assert files == {"plan.yaml", "serve.yaml", "router.json", "arrays.npz"}
    router = base64.b64decode(config_map["binaryData"]["arrays.npz"])
    assert router == (tmp_path / "given" / "arrays.npz").read_bytes()
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        spec = group["template"]["spec"]
        (volume,) = spec["volumes"]
        assert volume["configMap"]["name"] == config_map["metadata"]["name"]
        (mount,) = spec["containers"][0]["volumeMounts"]
        assert mount["mountPath"] == "/etc/boute"
    application = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"][0]
    assert {Path(path).name for path in application["args"].values()} <= files
    assert {Path(path).parent for path in application["args"].values()} == {Path("/etc/boute")}


def test_serve_takes_the_config_inside(plan_file: Callable[..., Path], manifest: Any) -> None:
    from ray.serve.schema import ServeDeploySchema

    _, service = manifest(plan_file())
    given = yaml.safe_load(service["spec"]["serveConfigV2"])
    config = ServeDeploySchema.model_validate(given)
    assert config.http_options.host == "0.0.0.0"
    assert_kept(given, config.model_dump(mode="json", exclude_unset=True))


def test_prometheus_finds_the_head_and_nothing_else(
    plan_file: Callable[..., Path], emitted: Any, manifest: Any
) -> None:
    plan = plan_file()
    _, service = manifest(plan)
    config = yaml.safe_load(emitted(plan, "kuberay")["prometheus.yml"].read_text())
    (job,) = config["scrape_configs"]
    cluster = service["spec"]["rayClusterConfig"]
    groups = {"head": [cluster["headGroupSpec"]], "worker": cluster["workerGroupSpecs"]}
    found = []
    for kind, specs in groups.items():
        for spec in specs:
            template = spec["template"]
            # Those that KubeRay adds to a pod; the name of the RayService is not among them.
            labels = {"ray.io/cluster": "boute-abcde", "ray.io/node-type": kind}
            labels |= template.get("metadata", {}).get("labels", {})
            names = {re.sub(r"\W", "_", label): value for label, value in labels.items()}
            for port in template["spec"]["containers"][0].get("ports", [{"containerPort": 8080}]):
                meta = {f"__meta_kubernetes_pod_label_{name}": names[name] for name in names}
                meta["__meta_kubernetes_pod_container_port_number"] = str(port["containerPort"])
                if all(
                    re.fullmatch(rule["regex"], meta.get(label, ""))
                    for rule in job["relabel_configs"]
                    for label in rule["source_labels"]
                ):
                    found.append((kind, port.get("name")))
    assert found == [("head", "serve")]


def test_another_threshold_leaves_the_cluster_as_it_is(
    plan_file: Callable[..., Path], manifest: Any
) -> None:
    def change(data: dict[str, Any]) -> None:
        data["routing"]["thresholds"] = [0.3, 0.9]

    def grow(data: dict[str, Any]) -> None:
        data["pools"][0]["replicas"] += 1

    _, before = manifest(plan_file())
    _, after = manifest(plan_file(change))
    _, other = manifest(plan_file(grow))
    assert before["spec"]["rayClusterConfig"] == after["spec"]["rayClusterConfig"]
    assert before["spec"]["serveConfigV2"] != after["spec"]["serveConfigV2"]
    assert before["spec"]["rayClusterConfig"] != other["spec"]["rayClusterConfig"]


def test_autoscaling_raises_the_number_of_pods(
    plan_file: Callable[..., Path], manifest: Any, tmp_path: Path
) -> None:
    options = tmp_path / "serve.yaml"
    options.write_text("autoscaling: {llama-3.2-3b-l4-tp1: {max_replicas: 7}}\n")
    _, service = manifest(plan_file(), options)
    assert groups_of(service)["l4-x1"]["maxReplicas"] == 7


def test_weights_in_a_folder_here_are_in_no_pod(
    plan_file: Callable[..., Path], emitted: Any, manifest: Any
) -> None:
    def change(data: dict[str, Any]) -> None:
        data["models"][0]["served_by"] = {"engine": "vllm", "folder": "weights"}

    plan = plan_file(change)
    with pytest.raises(PlanError, match=r"which no pod has.*--weights-path"):
        emitted(plan, "kuberay")
    config_map, _ = manifest(plan, weights_path="/models")
    found = yaml.safe_load(config_map["data"]["plan.yaml"])["models"][0]["served_by"]["folder"]
    assert found == "/models/llama-3.2-3b"


def test_nodes_of_a_type_without_a_label_have_to_be_named(
    plan_file: Callable[..., Path], one_machine: Any, emitted: Any, manifest: Any
) -> None:
    def change(data: dict[str, Any]) -> None:
        one_machine(data)
        data["spec"]["gpus"]["mi300x"] = {"count": 8}
        for pool in data["pools"]:
            pool["gpu"] = "mi300x"

    plan = plan_file(change)
    with pytest.raises(InputError, match="--node-selector mi300x=LABEL=VALUE"):
        emitted(plan, "kuberay", image="mine:1")
    with pytest.raises(PlanError, match="no official image for AMD"):
        emitted(plan, "kuberay", selectors={"mi300x": {"pool": "amd"}})
    _, service = manifest(plan, image="mine:1", selectors={"mi300x": {"pool": "amd"}})
    spec = groups_of(service)["mi300x-x1"]["template"]["spec"]
    assert spec["nodeSelector"] == {"pool": "amd"}
    assert spec["containers"][0]["image"] == "mine:1"
    assert spec["containers"][0]["resources"]["limits"]["amd.com/gpu"] == "1"


def test_what_has_no_device_needs_no_pod(plan_file: Callable[..., Path], manifest: Any) -> None:
    def change(data: dict[str, Any]) -> None:
        for model in data["models"]:
            model["served_by"] = {
                "engine": "openai",
                "base_url": "https://example.org/v1",
                "api_key_env": "THEIR_KEY",
            }
        data["models"][0]["served_by"]["api_key_env"] = "HF_TOKEN"

    _, service = manifest(plan_file(change))
    assert groups_of(service) == {}
    head = service["spec"]["rayClusterConfig"]["headGroupSpec"]
    variables = head["template"]["spec"]["containers"][0]["env"]
    env = {one["name"]: one for one in variables}
    assert len(env) == len(variables)
    assert env["THEIR_KEY"]["valueFrom"]["secretKeyRef"]["key"] == "THEIR_KEY"


def test_nothing_is_written_when_something_is_wrong(
    plan_file: Callable[..., Path], emitted: Any, tmp_path: Path
) -> None:
    def change(data: dict[str, Any]) -> None:
        data["models"][0]["served_by"] = {"engine": "vllm", "folder": "weights"}

    with pytest.raises(PlanError):
        emitted(plan_file(change), "kuberay")
    assert not (tmp_path / "out").exists()
