from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from boute.cli.emit import emit
from boute.errors import InputError

EXAMPLE = Path(__file__).parents[1] / "plan" / "example.yaml"


def run(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(emit)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """The example without a router, its weights from Hugging Face."""
    path = tmp_path / "plan.yaml"
    lines = EXAMPLE.read_text().splitlines()
    lines = [line for line in lines if not line.strip().startswith(("router:", "router_hash:"))]
    text = "\n".join(lines) + "\n"
    for name in ("llama-3.2-3b", "llama-3.1-8b", "llama-3.1-70b"):
        card = f"  card: {name}\n"
        text = text.replace(card, f"{card}  huggingface_id: somebody/{name}\n", 1)
    path.write_text(text)
    return path


def test_the_files_are_named(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    selector = ("--node-selector", "l4=pool=small", "--node-selector", "l4=zone=a")
    ran = run(plan, "--target", "kuberay", "--out", out, "--image", "mine:1", *selector)
    assert ran.exit_code == 0, ran.exception
    printed = [Path(line) for line in ran.stdout.splitlines()]
    assert {path.name for path in printed} == {"rayservice.yaml", "prometheus.yml", "boute.json"}
    assert all(path.is_file() for path in printed)
    assert (
        "nodeSelector:\n            pool: small\n            zone: a\n"
        in (out / "rayservice.yaml").read_text()
    )


@pytest.mark.parametrize("selector", ["l4", "l4=", "l4=label", "=label=value", "l4==x"])
def test_a_selector_that_is_none(plan: Path, tmp_path: Path, selector: str) -> None:
    ran = run(plan, "--target", "kuberay", "--out", tmp_path / "out", "--node-selector", selector)
    assert isinstance(ran.exception, InputError)
    assert "is not GPU=LABEL=VALUE" in str(ran.exception)


def test_a_plan_that_is_none(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "plan.txt")
    ran = run(tmp_path / "none.yaml", "--target", "ray", "--out", tmp_path / "out")
    assert isinstance(ran.exception, InputError)
    assert not (tmp_path / "out").exists()
