"""`--target compose`: one machine with the fleet, Prometheus and Grafana."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from boute.errors import PlanError


def test_a_machine_with_all_gpus_of_the_plan(
    plan_file: Callable[..., Path], one_machine: Any, emitted: Any, tmp_path: Path
) -> None:
    def change(data: dict[str, Any]) -> None:
        one_machine(data)
        data["models"][0]["served_by"] = {"engine": "vllm", "folder": "weights"}

    files = emitted(plan_file(change), "compose")
    compose = yaml.safe_load(files["docker-compose.yml"].read_text())
    boute = compose["services"]["boute"]
    (device,) = boute["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 6, "capabilities": ["gpu"]}
    assert boute["command"][:2] == ["boute", "serve"]
    assert f"{tmp_path / 'plans' / 'weights'}:/models/llama-3.2-3b:ro" in boute["volumes"]
    assert compose["services"].keys() == {"boute", "prometheus", "grafana"}


def test_every_file_that_is_mounted_is_written(
    plan_file: Callable[..., Path], one_machine: Any, emitted: Any, tmp_path: Path
) -> None:
    files = emitted(plan_file(one_machine), "compose")
    compose = yaml.safe_load(files["docker-compose.yml"].read_text())
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source, target, *_ = volume.split(":")
            if source.startswith("./"):
                assert (tmp_path / "out" / source).exists(), volume
            else:
                assert source in compose["volumes"]
            assert target.startswith("/")
    arguments = compose["services"]["boute"]["command"][2:]
    folder = next(name for name in files if name.endswith("plan.yaml")).split("/")[0]
    for path in (arguments[0], arguments[2]):
        assert path.replace("/etc/boute", folder) in files
    source = yaml.safe_load(files["grafana/provisioning/datasources/prometheus.yml"].read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"


def test_the_server_in_the_container_is_reached_from_outside(
    plan_file: Callable[..., Path], one_machine: Any, emitted: Any
) -> None:
    files = emitted(plan_file(one_machine), "compose")
    options = next(path for name, path in files.items() if name.endswith("/serve.yaml"))
    assert yaml.safe_load(options.read_text()) == {"host": "0.0.0.0"}
    scrape = yaml.safe_load(files["prometheus.yml"].read_text())
    assert scrape["scrape_configs"][0]["static_configs"] == [{"targets": ["boute:8000"]}]


def test_a_dockerfile_unless_there_is_an_image(
    plan_file: Callable[..., Path], one_machine: Any, emitted: Any
) -> None:
    plan = plan_file(one_machine)
    files = emitted(plan, "compose")
    compose = yaml.safe_load(files["docker-compose.yml"].read_text())
    assert compose["services"]["boute"]["build"] == "."
    assert files["Dockerfile"].read_text().count("\nFROM rayproject/ray:") == 1
    files = emitted(plan, "compose", image="mine:1")
    compose = yaml.safe_load(files["docker-compose.yml"].read_text())
    assert compose["services"]["boute"]["image"] == "mine:1"
    assert "build" not in compose["services"]["boute"]
    assert "Dockerfile" not in files


def test_more_than_one_machine_has_is_refused(
    plan_file: Callable[..., Path], one_machine: Any, emitted: Any
) -> None:
    def change(data: dict[str, Any]) -> None:
        one_machine(data)
        data["pools"][0]["replicas"] = 30

    with pytest.raises(PlanError, match=r"takes 33 GPUs, a node of l40s has 8"):
        emitted(plan_file(change), "compose")
    with pytest.raises(PlanError, match="Compose runs on one machine"):
        emitted(plan_file(), "compose")
