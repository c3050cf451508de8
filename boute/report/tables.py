"""The front as rows: CSV and JSON for programs, a table for the terminal.

Numbers in the files are plain, in the units of the metric names; words are for the terminal.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.table import Table
from rich.text import Text

from boute.errors import PlanError
from boute.files import read_text, write_text
from boute.metrics import is_maximised
from boute.outcome import Outcome, Robustness
from boute.plan.explain import target_margins
from boute.plan.model import Alternative, Plan
from boute.plan.words import interval_text, metric_short, metric_text, pool_text
from boute.report.study_view import StudyView
from boute.report.terminal import VERDICT_STYLES

__all__ = [
    "SCHEMA_VERSION",
    "front_rows",
    "front_table",
    "load_alternatives",
    "write_front_csv",
    "write_front_json",
]

SCHEMA_VERSION: Final = 1


def front_rows(view: StudyView) -> list[dict[str, Any]]:
    """One flat row a plan, best first: every metric, shares, GPUs held, pools and verdict."""
    return [_row(rank, plan) for rank, plan in enumerate(view.plans, start=1)]


def write_front_csv(view: StudyView, path: Path) -> None:
    """Write the rows as CSV; raise OutputError."""
    rows = front_rows(view)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_front_json(view: StudyView, path: Path) -> None:
    """Write front.json: objectives with their directions, and the plans, best first.

    The same view gives the same bytes. Raise OutputError.
    """
    front = {
        "schema_version": SCHEMA_VERSION,
        "spec": view.spec_file,
        "search": {
            "sampler": view.sampler,
            "seed": view.seed,
            "evaluations": view.evaluations,
            "hypervolume": view.progress[-1].hypervolume if view.progress else None,
            "infeasible": dict(sorted(view.infeasible_reasons.items())),
        },
        "objectives": [
            {
                "name": name,
                "direction": "maximize" if is_maximised(name) else "minimize",
                "reference": view.reference_point.get(name),
            }
            for name in view.objectives
        ],
        "router": view.router,
        "chosen": view.chosen.name,
        "plans": [_entry(rank, plan) for rank, plan in enumerate(view.plans, start=1)],
    }
    write_text(path, json.dumps(front, indent=1, allow_nan=False) + "\n")


def load_alternatives(path: Path) -> list[Alternative]:
    """The plans of a front.json by name and objectives; raise PlanError when it is none."""
    try:
        return list(_Front.model_validate_json(read_text(path, error=PlanError)).plans)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise PlanError(
            f"{key}: {first['msg']}" if key else first["msg"],
            where=str(path),
            mend="write it anew with boute optimize, or move it away",
        ) from None


def front_table(view: StudyView, *, most: int | None = None) -> Table:
    """The front for a terminal of 100 columns; a narrower one cuts names short, not numbers.

    With `most`, only so many plans, the most balanced first.
    """
    asked = dict.fromkeys([*view.objectives, *view.spec.targets.migration_limits()])
    between = [name for name in asked if name not in {"quality", "cost_per_hour"}]
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("Plan", no_wrap=True)
    table.add_column("Share, model")
    table.add_column("Pools")
    for heading in ["Quality", *map(metric_short, between), metric_short("cost_per_hour")]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Verdict", no_wrap=True)
    for plan in view.plans[:most]:
        outcome = plan.predicted
        half = (outcome.quality_high - outcome.quality_low) / 2
        shares, pools = _share_lines(plan)
        table.add_row(
            Text(plan.name),
            _cut_short(shares),
            _cut_short(pools),
            f"{outcome.quality:.3f} ±{half:.3f}",
            *(_with_interval(name, outcome) for name in between),
            f"{outcome.cost_per_hour:,.2f}",
            Text(outcome.verdict, style=VERDICT_STYLES[outcome.verdict]),
        )
    return table


def _with_interval(metric: str, outcome: Outcome) -> Text:
    """A value, and below it the ends of its interval where it has one."""
    text = Text(metric_text(metric, outcome.value(metric)).split(" per ")[0])
    low, high = outcome.interval(metric)
    if low < high:
        ends = interval_text(metric, (low, high)).split(" per ")[0].replace(" to ", "-")
        text.append(f"\n{ends}", "dim")
    return text


def _cut_short(lines: list[str]) -> Text:
    """Lines that never wrap, so that shares and pools stay beside each other."""
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


class _FrontPlan(Alternative):
    """A plan of front.json; what else it says of the plan is not read."""

    model_config = ConfigDict(extra="ignore")


class _Front(BaseModel):
    schema_version: Literal[1]
    plans: list[_FrontPlan]


def _row(rank: int, plan: Plan) -> dict[str, Any]:
    outcome = plan.predicted
    row: dict[str, Any] = {"rank": rank, "plan": plan.name}
    row |= {name: outcome.value(name) for name in plan.objectives}
    row |= outcome.values()
    row |= {"quality_low": outcome.quality_low, "quality_high": outcome.quality_high}
    row |= {"latency_error": outcome.latency_error, "utilisation": outcome.utilisation}
    row |= {"requests": outcome.requests, "failed": outcome.failed}
    row |= {"preemptions": outcome.preemptions, "verdict": outcome.verdict}
    row |= _robustness_columns(outcome.robustness)
    row["targets_met"] = all(margin.met for margin in target_margins(plan))
    shares = dict(zip(plan.routing.models, plan.routing.fractions, strict=True))
    row |= {f"share_{model}": shares.get(model, 0.0) for model in plan.spec.model_names}
    if plan.routing.policy == "cascade":
        asked = dict(zip(plan.routing.models, plan.routing.asked, strict=True))
        row |= {f"asked_{model}": asked.get(model, 0.0) for model in plan.spec.model_names}
    held: Counter[str] = Counter()
    for pool in plan.pools:
        held[pool.gpu] += pool.gpus
    row |= {f"gpus_{gpu}": held[gpu] for gpu in plan.spec.gpus}
    row["pools"] = "; ".join(f"{pool.model}: {pool_text(pool)}" for pool in plan.pools)
    return row


def _robustness_columns(found: Robustness | None) -> dict[str, Any]:
    """Ends of intervals as `<metric>_low` and `<metric>_high`; quality keeps its own of 95%."""
    if found is None:
        return {}
    row: dict[str, Any] = {}
    for metric, (low, high) in found.intervals.items():
        if metric != "quality":
            row |= {f"{metric}_low": low, f"{metric}_high": high}
    row |= {"keeps_targets": found.keeps_targets, "load_margin": found.load_margin}
    return row | {"load_limit": found.load_limit}


def _entry(rank: int, plan: Plan) -> dict[str, Any]:
    targets = [
        {"target": each.target, "limit": each.limit, "predicted": each.predicted, "met": each.met}
        for each in target_margins(plan)
    ]
    return {
        "rank": rank,
        "plan": plan.name,
        "objectives": plan.objectives,
        "targets": targets,
        "routing": plan.routing.model_dump(mode="json"),
        "pools": [pool.model_dump(mode="json") for pool in plan.pools],
        "predicted": plan.predicted.model_dump(mode="json"),
    }


def _share_lines(plan: Plan) -> tuple[list[str], list[str]]:
    """Shares and pools, line by line beside each other."""
    shares, pools = [], []
    for model, fraction in zip(plan.routing.models, plan.routing.fractions, strict=True):
        own = [pool_text(pool) for pool in plan.pools if pool.model == model]
        if not own and fraction == 0:
            continue
        shares += [f"{fraction:4.0%} {model}", *[""] * (len(own) - 1)]
        pools += own or [""]
    return shares, pools
