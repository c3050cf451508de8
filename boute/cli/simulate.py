"""`boute simulate PLAN`: what a plan does with its workload, or with another trace or rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from boute.outcome import Outcome

__all__ = ["simulate"]


def simulate(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file.")],
    trace: Annotated[
        Path | None, typer.Option("--trace", help="Another trace: CSV, JSONL or Parquet.")
    ] = None,
    rate_scale: Annotated[
        float, typer.Option("--rate-scale", min=1e-6, help="Times as many requests a second.")
    ] = 1.0,
    chrome_trace: Annotated[
        Path | None,
        typer.Option("--chrome-trace", help="Write the run for chrome://tracing or Perfetto."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Every request of a trace that would be thinned.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Simulate a plan at step level and print what it does."""
    from dataclasses import replace

    from boute.cli.console import note, print_json, show
    from boute.evaluate import evaluate, write_chrome_trace
    from boute.plan.decision import decision_of
    from boute.plan.store import load_plan
    from boute.report.terminal import plan_tables
    from boute.world import context_of, whole_workload

    loaded = load_plan(plan)
    context = context_of(loaded, plan, trace=trace, rate_scale=rate_scale)
    decision = decision_of(loaded)
    if whole:
        context = replace(context, workload=whole_workload(context, decision))
    outcome = evaluate(decision, context.workload, context)
    if chrome_trace is not None:
        write_chrome_trace(decision, context, chrome_trace)
        note(f"wrote {chrome_trace}")
    if as_json:
        print_json(outcome.model_dump(mode="json"))
        return
    for part in plan_tables(loaded.model_copy(update={"predicted": outcome})):
        show(part)
    print(_summary(outcome))


def _summary(outcome: Outcome) -> str:
    parts = [
        f"goodput {outcome.goodput_per_s:.2f}/s ({outcome.slo_attainment:.1%} within the targets)",
        f"{outcome.preemptions} preemptions",
        f"${outcome.cost_per_million_tokens:.2f} per million generated tokens",
        f"{outcome.energy_j_per_token:.2f} J a token (power ±{outcome.energy_error:.0%})",
    ]
    if outcome.failed:
        parts.insert(0, f"{outcome.failed} too long for their pool")
    return f"\n{outcome.requests} requests in {outcome.duration_s:.0f} s: {', '.join(parts)}"
