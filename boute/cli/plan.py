"""`boute plan`: look at a plan, compare two, and hear why one is as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from boute.plan.model import Alternative, Plan

__all__ = ["app"]

app = typer.Typer(help="Show, compare and explain plans.", no_args_is_help=True)

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def show(plan: PlanFile, json: Json = False) -> None:
    """Show a plan: its routing, its pools and what is predicted of them."""
    from boute.cli.console import print_json
    from boute.cli.console import show as show_on_terminal
    from boute.plan.store import load_plan
    from boute.report.terminal import plan_tables

    loaded = load_plan(plan)
    if json:
        print_json(loaded.model_dump(mode="json", exclude_none=True))
        return
    for part in plan_tables(loaded):
        show_on_terminal(part)


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="The plan that runs.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The plan to go to.")],
    json: Json = False,
) -> None:
    """Say what changes from plan A to plan B, and whether that needs a redeployment."""
    from dataclasses import asdict

    from boute.cli.console import print_json
    from boute.plan.diff import diff_plans
    from boute.plan.store import load_plan

    difference = diff_plans(load_plan(a), load_plan(b))
    if json:
        print_json(asdict(difference))
    else:
        print("\n".join(difference.lines()))


@app.command()
def explain(plan: PlanFile, json: Json = False) -> None:
    """Say which constraint binds a plan and what the next better ones cost."""
    from dataclasses import asdict

    from boute.cli.console import print_json
    from boute.plan.explain import explain as explain_plan
    from boute.plan.store import load_plan

    loaded = load_plan(plan)
    explanation = explain_plan(loaded, _alternatives(loaded, plan))
    if json:
        print_json(asdict(explanation))
        return
    print(explanation.plan)
    for title, lines in explanation.sections().items():
        print("\n".join(["", title, *(f"  {line}" for line in lines)]))


def _alternatives(plan: Plan, path: Path) -> list[Alternative]:
    """Those that the plan carries, or else the front that was written beside its folder."""
    from boute.report.tables import load_alternatives

    front = path.resolve().parent.parent / "front.json"
    if plan.alternatives or not front.is_file():
        return plan.alternatives
    return load_alternatives(front)
