"""What the HTML report says, as text ready for its template: no markup, no drawing.

The template escapes all of it, so text from the user goes in as it is.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from boute.metrics import is_maximised, latency_metric
from boute.outcome import Latency, Outcome
from boute.plan.explain import TargetMargin, explain, robustness_lines, target_margins
from boute.plan.model import Plan
from boute.plan.rules import routing_rules
from boute.plan.words import (
    interval_text,
    metric_label,
    metric_text,
    number_text,
    pool_text,
    replica_text,
    seconds_text,
)
from boute.report.study_view import StudyView
from boute.report.thinning import thinning_says
from boute.spec.model import Spec
from boute.spec.workload import WorkloadSource

__all__ = ["page_text", "workload_text"]

SAMPLERS: Final = {
    "mobo": "a local search on cheap looks at plans, by formulas and by simulation",
    "mobo-gp": "a local search on cheap looks, and qLogNEHVI where they are not exact",
    "nsga2": "NSGA-II, an evolutionary search",
    "sobol": "a Sobol sequence, evenly spread points without learning",
    "exact": "every plan of a grid that may be on the front",
    "optuna-tpe": "Optuna's tree-structured Parzen estimator",
    "optuna-gp": "Optuna's Gaussian processes",
    "bilevel": "thresholds by Chebyshev descents, placement by an integer program",
    "sequential": "routing first, placement second",
    "single-model": "one model on one GPU type",
    "single-gpu": "routing on one GPU type",
}
_HEADINGS: Final = {
    "cost_per_hour": "Cost per hour",
    "cost_per_million_tokens": "Cost per million tokens",
    "energy_j_per_token": "Energy per token",
}
_LATENCY_ROWS: Final = {
    "ttft": "Time to first token",
    "tpot": "Time per output token",
    "e2e": "End to end",
    "queue": "In the queue",
}
_STATISTICS: Final = ("mean", "p50", "p90", "p95", "p99")


class Tile(NamedTuple):
    """A figure with its label and a remark."""

    label: str
    value: str
    unit: str
    note: str


class Target(NamedTuple):
    """A target of one plan: what was asked, what is predicted and whether that is enough."""

    label: str
    asked: str
    predicted: str
    margin: str
    met: bool


class Share(NamedTuple):
    """A model's part in the routing: `tint` is its place in the cost order, 0 to 4."""

    model: str
    percent: float
    text: str
    rule: str
    tint: int


class PoolRow(NamedTuple):
    """A pool as a row of text."""

    model: str
    placement: str
    replicas: int
    gpus: int
    weight: str
    utilisation: str
    kv_peak: str
    preemptions: int
    ttft: str
    e2e: str
    verdict: str


class LatencyRow(NamedTuple):
    """One latency: its mean and percentiles."""

    label: str
    values: tuple[str, ...]


def page_text(view: StudyView) -> dict[str, Any]:
    """Everything that the template names, except style, scripts and the data of the plots."""
    return {
        "title": view.title,
        "spec_file": view.spec_file,
        "found": _found(view),
        "tiles": _tiles(view.chosen.predicted),
        "asked": _asked(view),
        "objectives": [_HEADINGS.get(each) or metric_label(each) for each in view.objectives],
        "front": [_front_row(view, plan) for plan in view.plans],
        "plans": [_plan(plan, plan is view.chosen) for plan in view.plans],
        "searched": _searched(view),
        "reasons": sorted(view.infeasible_reasons.items(), key=lambda item: (-item[1], item[0])),
        "router": [(_router_label(k), number_text(v)) for k, v in view.router.items()],
    }


def workload_text(source: WorkloadSource) -> str:
    """Where the requests come from, in words."""
    if source.generator is not None:
        made = source.generator
        text = (
            f"{made.arrivals.capitalize()} arrivals, {number_text(made.rate_per_s)} requests/s;"
            f" median {number_text(made.input_tokens.median)} input and"
            f" {number_text(made.output_tokens.median)} output tokens"
        )
    else:
        text = f"Trace {source.trace}"
    if source.rate_scale != 1:
        text += f", at {number_text(source.rate_scale)} times its rate"
    return text


def _found(view: StudyView) -> str:
    """The finding in one sentence or two."""
    plan, outcome = view.chosen, view.chosen.predicted
    latency = next((m for m in view.objectives if m.endswith("_s") and m != "goodput_per_s"), None)
    latency = latency or latency_metric("e2e", "p95")
    missed = [margin for margin in target_margins(plan) if not margin.met]
    targets = "It misses a target." if missed else "It meets every target."
    if not target_margins(plan):
        targets = "No targets were set."
    front = f"{len(view.plans)} plans make" if len(view.plans) > 1 else "One plan makes"
    return (
        f"{front} up the Pareto front, out of {view.evaluations:,} evaluated. The chosen one,"
        f" {plan.name}, reaches quality {outcome.quality:.3f} and a {metric_label(latency)} of"
        f" {metric_text(latency, outcome.value(latency))}"
        f" for {metric_text('cost_per_hour', outcome.cost_per_hour)}. {targets}"
    )


def _tiles(outcome: Outcome) -> list[Tile]:
    interval = f"95% interval {outcome.quality_low:.3f} to {outcome.quality_high:.3f}"
    error = f"±{outcome.latency_error:.0%} stated error"
    cost = metric_text("cost_per_million_tokens", outcome.cost_per_million_tokens)
    attained = f"{outcome.slo_attainment:.1%} of requests within the targets"
    if outcome.failed:
        attained += f", {outcome.failed:,} failed"
    drawn = "of the GPUs"
    if outcome.energy_error:
        drawn += f", power ±{outcome.energy_error:.0%}"
    return [
        Tile("Quality", f"{outcome.quality:.3f}", "of 1", interval),
        _time_tile("P95 end to end", outcome.e2e.p95, _drawn("e2e_p95_s", outcome) + error),
        _time_tile("P95 to first token", outcome.ttft.p95, _drawn("ttft_p95_s", outcome) + error),
        Tile("Cost", f"${outcome.cost_per_hour:,.2f}", "per hour", cost),
        Tile("Goodput", number_text(outcome.goodput_per_s), "requests/s", attained),
        Tile("Energy", number_text(outcome.energy_j_per_token), "J per token", drawn),
    ]


def _drawn(metric: str, outcome: Outcome) -> str:
    """The interval of a metric as the first half of a note, where there is one."""
    low, high = outcome.interval(metric)
    return f"{interval_text(metric, (low, high))} over resamples, " if low < high else ""


def _time_tile(label: str, value_s: float, note: str) -> Tile:
    value, unit = seconds_text(value_s).split()
    return Tile(label, value, unit, note)


def _asked(view: StudyView) -> list[tuple[str, str]]:
    spec, outcome = view.spec, view.chosen.predicted
    rate = number_text(outcome.requests / outcome.duration_s) if outcome.duration_s else "0"
    targets = [f"{target.label} {target.asked}" for target in _targets(view.chosen)]
    served = f"{outcome.requests:,} requests, {rate} a second"
    thinned = thinning_says(view.plans, spec)
    return [
        ("Models", ", ".join(_model_text(spec, name) for name in spec.model_names)),
        ("GPUs on offer", ", ".join(_gpu_text(spec, name) for name in spec.gpus)),
        ("Workload", "; ".join([f"{workload_text(spec.workload)} ({served})", *thinned])),
        ("Quality data", spec.quality.table),
        ("Targets", "; ".join(targets) or "none"),
        ("Objectives", ", ".join(_objective_text(metric) for metric in view.objectives)),
    ]


def _objective_text(metric: str) -> str:
    return f"{metric_label(metric)} ({'higher' if is_maximised(metric) else 'lower'} is better)"


def _model_text(spec: Spec, name: str) -> str:
    choice = next(choice for choice in spec.models if choice.name == name)
    return f"{name} ({choice.weights})"


def _gpu_text(spec: Spec, name: str) -> str:
    supply = spec.gpus[name]
    price = f" at ${supply.price_per_hour:,.2f} per hour" if supply.price_per_hour else ""
    return f"{supply.count} × {name}{price}{', spot' if supply.spot else ''}"


def _targets(plan: Plan) -> list[Target]:
    return [_target(margin) for margin in target_margins(plan)]


def _target(margin: TargetMargin) -> Target:
    bound = "at least" if is_maximised(margin.metric) else "at most"
    return Target(
        label=metric_label(margin.metric),
        asked=f"{bound} {metric_text(margin.metric, margin.limit)}",
        predicted=metric_text(margin.metric, margin.predicted),
        margin=f"{abs(margin.margin):.0%} {'to spare' if margin.met else 'short'}",
        met=margin.met,
    )


def _front_row(view: StudyView, plan: Plan) -> dict[str, Any]:
    shares = _shares(plan)
    return {
        "name": plan.name,
        "shares": shares,
        "pools": ", ".join(pool_text(pool) for pool in plan.pools),
        "objectives": [
            metric_text(metric, plan.predicted.value(metric)).split(" per ")[0]
            for metric in view.objectives
        ],
        "verdict": plan.predicted.verdict,
    }


def _plan(plan: Plan, chosen: bool) -> dict[str, Any]:
    sections = explain(plan).sections()
    return {
        "name": plan.name,
        "chosen": chosen,
        "shares": _shares(plan),
        "tiles": _tiles(plan.predicted),
        "targets": _targets(plan),
        "pools": _pools(plan),
        "latencies": _latencies(plan.predicted),
        "verdict": plan.predicted.verdict,
        "error": f"±{plan.predicted.latency_error:.0%}",
        "binding": sections["What binds"][0],
        "next_better": sections["Next better"],
        "gpus": sections["GPUs"],
        "robustness": robustness_lines(plan),
    }


def _shares(plan: Plan) -> list[Share]:
    """Models that answer queries, cheapest first, and what leads to each."""
    routing = plan.routing
    last = len(routing.models) - 1
    rules = routing_rules(routing)
    return [
        Share(model, 100 * fraction, f"{fraction:.1%}", rule, round(4 * index / (last or 1)))
        for index, (model, fraction, rule) in enumerate(
            zip(routing.models, routing.fractions, rules, strict=True)
        )
        if fraction > 0
    ]


def _pools(plan: Plan) -> list[PoolRow]:
    outcomes = {outcome.pool: outcome for outcome in plan.predicted.pools}
    rows = []
    for pool in plan.pools:
        outcome = outcomes.get(pool.name)
        if outcome is None:
            continue
        rows.append(
            PoolRow(
                model=pool.model,
                placement=replica_text(pool),
                replicas=pool.replicas,
                gpus=pool.gpus,
                weight=f"{pool.weight:.0%}",
                utilisation=f"{outcome.utilisation:.0%}",
                kv_peak=f"{outcome.kv_peak:.0%}",
                preemptions=outcome.preemptions,
                ttft=seconds_text(outcome.ttft.p95),
                e2e=seconds_text(outcome.e2e.p95),
                verdict=outcome.verdict,
            )
        )
    return rows


def _latencies(outcome: Outcome) -> list[LatencyRow]:
    rows = []
    for name, label in _LATENCY_ROWS.items():
        latency: Latency = getattr(outcome, name)
        values = tuple(seconds_text(getattr(latency, each)) for each in _STATISTICS)
        rows.append(LatencyRow(label, values))
    return rows


def _searched(view: StudyView) -> list[tuple[str, str]]:
    models, gpus = len(view.spec.models), len(view.spec.gpus)
    feasible = sum(trial.feasible for trial in view.trials)
    sampler = SAMPLERS.get(view.sampler, view.sampler)
    lines = [
        ("Routing", f"the share of the queries that each of {models} models takes"),
        (
            "Placement",
            f"a preference for each of {models * gpus} pairs of model and GPU type, decoded into"
            " whole GPUs, parallelism and replicas within inventory, node size and budget",
        ),
        ("Sampler", f"{view.sampler}: {sampler}"),
        ("Evaluations", f"{view.evaluations:,}, of which {feasible:,} feasible"),
        ("Seed", str(view.seed)),
    ]
    if view.progress:
        lines.append(("Hypervolume", f"{view.progress[-1].hypervolume:.4f} of 1"))
    return lines


def _router_label(name: str) -> str:
    """Short names of router metrics are initials, as in `apgr` and `cpt_50`."""
    words = name.split("_")
    return " ".join(word.upper() if len(word) <= 4 else word for word in words)
