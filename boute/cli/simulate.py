"""`boute simulate PLAN`: what a plan does with its workload, or with another trace or rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from boute.outcome import Latency, Outcome

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
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Simulate a plan at step level and print what it does."""
    from boute.cli.console import note, print_json, show
    from boute.evaluate import evaluate, write_chrome_trace
    from boute.plan.decision import decision_of
    from boute.plan.store import load_plan
    from boute.plan.world import context_of

    loaded = load_plan(plan)
    context = context_of(loaded, plan, trace=trace, rate_scale=rate_scale)
    outcome = evaluate(decision_of(loaded), context.workload, context)
    if chrome_trace is not None:
        write_chrome_trace(decision_of(loaded), context, chrome_trace)
        note(f"wrote {chrome_trace}")
    if as_json:
        print_json(outcome.model_dump(mode="json"))
        return
    show(_latencies(outcome))
    show(_pools(outcome))
    note(_summary(outcome))


def _summary(outcome: Outcome) -> str:
    parts = [
        f"{outcome.requests} requests in {outcome.duration_s:.0f} s: {outcome.verdict}",
        f"quality {outcome.quality:.3f} ({outcome.quality_low:.3f} to {outcome.quality_high:.3f})",
        f"goodput {outcome.goodput_per_s:.2f}/s ({outcome.slo_attainment:.1%} within the targets)",
        f"${outcome.cost_per_hour:.2f} an hour",
        f"${outcome.cost_per_million_tokens:.2f} per million generated tokens",
        f"{outcome.energy_j_per_token:.2f} J a token",
    ]
    if outcome.failed:
        parts.append(f"{outcome.failed} requests too long for their pool")
    return "; ".join(parts)


def _latencies(outcome: Outcome) -> Table:
    from rich.table import Table

    table = Table(title=f"Latency in seconds (model error {outcome.latency_error:.0%})")
    for column in ("", "mean", "P50", "P90", "P95", "P99"):
        table.add_column(column, justify="right")
    rows: dict[str, Latency] = {
        "TTFT": outcome.ttft,
        "TPOT": outcome.tpot,
        "E2E": outcome.e2e,
        "queue": outcome.queue,
    }
    for name, row in rows.items():
        values = (row.mean, row.p50, row.p90, row.p95, row.p99)
        table.add_row(name, *(f"{value:.4g}" for value in values))
    return table


def _pools(outcome: Outcome) -> Table:
    from rich.table import Table

    table = Table(title="Pools")
    for column in ("pool", "requests", "load", "KV peak", "preempted", "E2E P95 s", "verdict"):
        table.add_column(column, justify="left" if column == "pool" else "right")
    for pool in outcome.pools:
        table.add_row(
            pool.pool,
            str(pool.requests),
            f"{pool.utilisation:.0%}",
            f"{pool.kv_peak:.0%}",
            str(pool.preemptions),
            f"{pool.e2e.p95:.4g}",
            pool.verdict,
        )
    return table
