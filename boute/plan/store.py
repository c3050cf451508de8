"""Reading and writing plan files."""

from __future__ import annotations

from pathlib import Path

from boute.documents import dump_yaml, load_document
from boute.errors import PlanError
from boute.files import write_text
from boute.plan.model import Plan

__all__ = ["load_plan", "plan_text", "save_plan"]


def load_plan(path: Path) -> Plan:
    """Read and check a plan; raise PlanError naming file, line and key."""
    return load_document(path, Plan, error=PlanError)


def plan_text(plan: Plan) -> str:
    """The text of a plan file: the same for the same plan."""
    return dump_yaml(plan.model_dump(mode="json", exclude_none=True))


def save_plan(plan: Plan, path: Path) -> None:
    """Write a plan, whole or not at all; raise OutputError."""
    write_text(path, plan_text(plan))
