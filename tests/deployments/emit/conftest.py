"""A plan with its router, in a folder of its own, and what `boute emit` writes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from boute.deployments.emit.write import EmitOptions, Target, emit
from boute.plan.model import Plan
from boute.plan.store import load_plan, save_plan
from boute.routing.router import Router

EXAMPLE = Path(__file__).parents[2] / "plan" / "example.yaml"


@pytest.fixture
def plan_file(
    tmp_path: Path, given_router: Callable[[Sequence[str]], Router]
) -> Callable[..., Path]:
    """Saves the example plan, its weights from Hugging Face, changed by a function."""

    def save(change: Callable[[dict[str, Any]], None] = lambda data: None) -> Path:
        plan = load_plan(EXAMPLE)
        folder = tmp_path / "plans"
        folder.mkdir(exist_ok=True)
        router = given_router(tuple(plan.routing.models))
        data = plan.model_dump(mode="json", exclude_none=True)
        data["routing"]["router"] = "../given"
        data["routing"]["router_hash"] = router.save(tmp_path / "given")
        for model in data["models"]:
            model["huggingface_id"] = f"somebody/{model['name']}"
        change(data)
        path = folder / "plan-04.yaml"
        save_plan(Plan.model_validate(data), path)
        return path

    return save


@pytest.fixture
def one_machine() -> Callable[[dict[str, Any]], None]:
    """Changes the plan to two pools on the L40S of one machine."""

    def change(data: dict[str, Any]) -> None:
        pools = [pool for pool in data["pools"] if pool["gpu"] != "a10g"]
        for pool in pools:
            pool.update(gpu="l40s", weight=1.0)
        data["pools"] = pools

    return change


@pytest.fixture
def emitted(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Emits a plan, and gives the files by their names in the folder."""

    def run(
        plan: Path, target: Target, options: Path | None = None, **choices: Any
    ) -> dict[str, Path]:
        out = tmp_path / "out"
        paths = emit(plan, target, out, options, EmitOptions(**choices))
        return {str(path.relative_to(out)): path for path in paths}

    return run
