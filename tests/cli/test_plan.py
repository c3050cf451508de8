from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from boute.cli.plan import app
from boute.errors import PlanError
from boute.plan.model import Plan
from boute.plan.store import load_plan

EXAMPLE = Path(__file__).parents[1] / "plan" / "example.yaml"


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plans" / "plan-04.yaml"
    path.parent.mkdir()
    shutil.copy(EXAMPLE, path)
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_show_prints_routing_pools_latencies_and_targets(plan_file: Path) -> None:
    output = run("show", plan_file)
    for words in ("plan-04", "35.0%", "h100-sxm TP2", "Time per output token", "$30.00 per hour"):
        assert words in output


def test_show_as_json_is_the_plan(plan_file: Path) -> None:
    shown = json.loads(run("show", plan_file, "--json"))
    assert Plan.model_validate(shown) == load_plan(plan_file)


def test_diff_in_words_and_as_json(plan_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    data = yaml.safe_load(plan_file.read_text())
    data["pools"][0]["replicas"] = 4
    other.write_text(yaml.safe_dump(data))
    assert "Resized: llama-3.2-3b on l4 TP1, 3 to 4 replicas." in run("diff", plan_file, other)
    assert json.loads(run("diff", plan_file, other, "--json"))["apply"] == "redeploy"


def test_explain_in_words_and_as_json(plan_file: Path) -> None:
    output = run("explain", plan_file)
    assert "No constraint binds" in output
    assert "Quality: plan-01 takes it from 0.628 to 0.671" in output
    explained = json.loads(run("explain", plan_file, "--json"))
    assert explained["next_better"][0]["plan"] == "plan-01"


def test_explain_falls_back_on_the_front_beside_the_plans(plan_file: Path) -> None:
    data = yaml.safe_load(plan_file.read_text())
    del data["alternatives"]
    plan_file.write_text(yaml.safe_dump(data))
    assert "Quality: no plan of the front is better." in run("explain", plan_file)
    front = {"schema_version": 1, "plans": [{"plan": "best", "objectives": {"quality": 0.9}}]}
    (plan_file.parents[1] / "front.json").write_text(json.dumps(front))
    assert "Quality: best takes it from 0.628 to 0.900" in run("explain", plan_file)


def test_a_broken_front_and_a_truncated_plan_are_one_clear_line(plan_file: Path) -> None:
    data = yaml.safe_load(plan_file.read_text())
    del data["alternatives"]
    plan_file.write_text(yaml.safe_dump(data))
    (plan_file.parents[1] / "front.json").write_text('{"schema_version": 1, "plans": [{"pl')
    result = CliRunner().invoke(app, ["explain", str(plan_file)])
    assert isinstance(result.exception, PlanError)
    assert "front.json" in str(result.exception)
    plan_file.write_text(plan_file.read_text()[:900])
    result = CliRunner().invoke(app, ["show", str(plan_file)])
    assert isinstance(result.exception, PlanError)
    assert "plan-04.yaml" in str(result.exception)
