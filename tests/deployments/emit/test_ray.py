"""`--target ray`: a config file that Ray Serve takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from boute.deployments.fleet import BuildArguments, load_fleet
from boute.deployments.live import LiveConfig


def check(config: dict[str, Any]) -> Any:
    """Validate as `serve deploy` does."""
    from ray.serve.schema import ServeDeploySchema

    return ServeDeploySchema.model_validate(config)


def test_serve_takes_the_config(plan_file: Callable[..., Path], emitted: Any) -> None:
    files = emitted(plan_file(), "ray")
    config = yaml.safe_load(files["serve-config.yaml"].read_text())
    checked = check(config)
    (application,) = checked.applications
    assert (application.name, application.route_prefix) == ("boute", "/")
    assert application.import_path == "boute.deployments.app:build"
    fleet = load_fleet(BuildArguments.model_validate(application.args))
    (ingress,) = application.deployments
    assert ingress.name == "Ingress"
    assert LiveConfig.model_validate(ingress.user_config) == fleet.live


def test_the_options_are_those_of_serve_yaml(
    plan_file: Callable[..., Path], emitted: Any, tmp_path: Path
) -> None:
    options = tmp_path / "serve.yaml"
    options.write_text("host: 0.0.0.0\nport: 9000\n")
    files = emitted(plan_file(), "ray", options)
    config = yaml.safe_load(files["serve-config.yaml"].read_text())
    assert config["http_options"] == {"host": "0.0.0.0", "port": 9000}
    scrape = yaml.safe_load(files["prometheus.yml"].read_text())
    (job,) = scrape["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9000"]}]


def test_a_cluster_may_have_the_files_elsewhere(
    plan_file: Callable[..., Path], emitted: Any, tmp_path: Path
) -> None:
    text = emitted(plan_file(), "ray", folder="/mnt/shared")["serve-config.yaml"].read_text()
    assert str(tmp_path) not in text
    config = yaml.safe_load(text)
    arguments = config["applications"][0]["args"]
    live = config["applications"][0]["deployments"][0]["user_config"]
    assert arguments["plan"].startswith("/mnt/shared/plan-")
    assert live["router_folder"] == arguments["plan"].removesuffix("/plan.yaml")


def test_the_same_plan_gives_the_same_bytes(plan_file: Callable[..., Path], emitted: Any) -> None:
    plan = plan_file()
    first = {name: path.read_bytes() for name, path in emitted(plan, "ray").items()}
    assert {name: path.read_bytes() for name, path in emitted(plan, "ray").items()} == first
