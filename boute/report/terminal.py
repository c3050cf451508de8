"""Single plans as tables for a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from boute.outcome import PoolOutcome
from boute.plan.explain import target_margins
from boute.plan.model import Plan
from boute.plan.rules import routing_rules
from boute.plan.words import (
    interval_text,
    metric_label,
    metric_text,
    replica_text,
    seconds_text,
)
from boute.report.thinning import thinning_says

__all__ = ["VERDICT_STYLES", "plan_tables"]

VERDICT_STYLES = {"stable": "green", "strained": "yellow", "unstable": "red"}


def plan_tables(plan: Plan) -> list[Table | Text]:
    """A plan top down: what is predicted, routing, pools, latencies and targets."""
    outcome = plan.predicted
    head = Text.assemble(
        (plan.name, "bold"),
        f": quality {outcome.quality:.3f}",
        f" ({outcome.quality_low:.3f} to {outcome.quality_high:.3f}),",
        f" P95 end to end {seconds_text(outcome.e2e.p95)} (±{outcome.latency_error:.0%}),",
        f" {metric_text('cost_per_hour', outcome.cost_per_hour)}, ",
        (outcome.verdict, VERDICT_STYLES[outcome.verdict]),
    )
    thinned = [Text(sentence.capitalize()) for sentence in thinning_says([plan], plan.spec)]
    parts: list[Table | Text] = [head, *thinned, _routing(plan), _pools(plan), _latencies(plan)]
    if target_margins(plan):
        parts.append(_targets(plan))
    spaced: list[Table | Text] = []
    for part in parts:
        spaced += [part, Text()]
    return spaced[:-1]


def _table(title: str, *columns: str, right: int) -> Table:
    """A plain table whose columns from `right` on are numbers."""
    table = Table(title=Text(title, "bold"), title_justify="left", box=None, pad_edge=False)
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index >= right else "left", header_style="dim")
    return table


def _routing(plan: Plan) -> Table:
    routing = plan.routing
    if routing.policy != "thresholds":
        table = _table(f"Routing by {routing.policy}", "Model", "Share", "Gets", right=1)
        for row in zip(routing.models, routing.fractions, routing_rules(routing), strict=True):
            table.add_row(row[0], f"{row[1]:.1%}", row[2])
        return table
    table = _table("Routing", "Model", "Share", "Score up to", right=1)
    limits = [f"{limit:.4g}" for limit in routing.thresholds] + ["any"]
    for model, fraction, limit in zip(routing.models, routing.fractions, limits, strict=True):
        table.add_row(model, f"{fraction:.1%}", limit)
    return table


def _pools(plan: Plan) -> Table:
    columns = ("Model", "Replica on", "Replicas", "GPUs", "Weight", "Load", "KV peak", "Verdict")
    table = _table("Pools", *columns, right=2)
    outcomes = {outcome.pool: outcome for outcome in plan.predicted.pools}
    for pool in plan.pools:
        size = (str(pool.replicas), str(pool.gpus), f"{pool.weight:.0%}")
        table.add_row(pool.model, replica_text(pool), *size, *_load(outcomes.get(pool.name)))
    return table


def _load(outcome: PoolOutcome | None) -> tuple[str | Text, ...]:
    if outcome is None:
        return ()
    verdict = Text(outcome.verdict, VERDICT_STYLES[outcome.verdict])
    return f"{outcome.utilisation:.0%}", f"{outcome.kv_peak:.0%}", verdict


def _latencies(plan: Plan) -> Table:
    outcome = plan.predicted
    table = _table("Predicted latency", "", "Mean", "P50", "P90", "P95", "P99", right=1)
    for label, each in (
        ("Time to first token", outcome.ttft),
        ("Time per output token", outcome.tpot),
        ("End to end", outcome.e2e),
        ("In the queue", outcome.queue),
    ):
        values = (each.mean, each.p50, each.p90, each.p95, each.p99)
        table.add_row(label, *map(seconds_text, values))
    return table


def _targets(plan: Plan) -> Table:
    table = _table("Targets", "Target", "Limit", "Predicted", "Interval", "Room", right=1)
    for margin in target_margins(plan):
        ends = margin.interval
        table.add_row(
            metric_label(margin.metric),
            metric_text(margin.metric, margin.limit),
            metric_text(margin.metric, margin.predicted),
            interval_text(margin.metric, ends) if ends and ends[0] < ends[1] else "",
            Text(f"{margin.margin:.0%}", "green" if margin.met else "red"),
        )
    return table
