"""What the plots show, as plain numbers ready to draw: scaled to the units of their labels.

Both the HTML report and the PNG draw from here, so that they agree.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from boute.metrics import is_maximised
from boute.plan.model import Plan
from boute.plan.words import metric_label, metric_text, number_text, seconds_text
from boute.report.study_view import QUANTILES, StudyView, TrialView

__all__ = [
    "Axis",
    "Kind",
    "Points",
    "axis_of",
    "axis_range",
    "figure_data",
    "trial_points",
]

MOST_TRIALS: Final = 2000
"""Trials drawn at most; browsers draw more of them only slowly."""
_CURVES: Final = ("ttft", "tpot", "e2e")
_UNITS: Final = {
    "quality": "0 to 1",
    "goodput_per_s": "requests per second",
    "slo_attainment": "share of requests",
    "cost_per_hour": "$ per hour",
    "cost_per_million_tokens": "$ per million tokens",
    "energy_j_per_token": "J per token",
    "moved_gpus": "GPUs",
}
Kind = Literal["dominated", "infeasible"]


@dataclass(frozen=True)
class Axis:
    """A metric on an axis: values are multiplied by `factor` to be in `unit`."""

    metric: str
    label: str
    unit: str
    factor: float

    @property
    def short(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({self.unit})"

    @property
    def title(self) -> str:
        """The label with its unit and which way is better."""
        return f"{self.short}, {self.better} is better"

    @property
    def better(self) -> str:
        """`higher` or `lower`."""
        return "higher" if is_maximised(self.metric) else "lower"


@dataclass(frozen=True)
class Points:
    """Trials of one kind: objectives [n, axes] in the units of the axes, and a text for each."""

    values: list[list[float]]
    hover: list[str]


def axis_of(metric: str, plans: Sequence[Plan]) -> Axis:
    """The axis of a metric, in ms or s as fits the plans of the front."""
    unit, factor = _UNITS.get(metric, ""), 1.0
    if not unit:
        unit, factor = _time_unit(max(plan.predicted.value(metric) for plan in plans))
    return Axis(metric, metric_label(metric), unit, factor)


def axis_range(values: Sequence[float]) -> tuple[float, float]:
    """The front with room around it; points far worse would press it into a corner."""
    low, high = min(values), max(values)
    room = 0.12 * ((high - low) or abs(high) or 1.0)
    return _rounded(low - room), _rounded(high + room)


def trial_points(view: StudyView, axes: Sequence[Axis], kind: Kind) -> Points:
    """The trials that are not on the front, thinned evenly when there are very many."""
    trials = [trial for trial in view.trials if _kind(trial) == kind and trial.objectives]
    trials = trials[:: -(-len(trials) // MOST_TRIALS) or 1]
    return Points(
        values=[_values(trial.objectives or {}, axes) for trial in trials],
        hover=[_trial_hover(trial, kind) for trial in trials],
    )


def figure_data(view: StudyView) -> dict[str, Any]:
    """All that the script of the HTML report draws."""
    axes = [axis_of(metric, view.plans) for metric in view.objectives]
    return {
        "axes": [_axis_data(axis, view.plans) for axis in axes],
        "plans": [
            {
                "name": plan.name,
                "values": _values(plan.objectives, axes),
                "hover": _hover(plan.name, plan.objectives),
            }
            for plan in view.plans
        ],
        "dominated": vars(trial_points(view, axes, "dominated")),
        "infeasible": vars(trial_points(view, axes, "infeasible")),
        "progress": {
            "x": [point.evaluation for point in view.progress],
            "y": [_rounded(point.hypervolume) for point in view.progress],
            "hover": [
                f"after {number_text(point.seconds)} s" if point.seconds is not None else ""
                for point in view.progress
            ],
        },
        "quantiles": QUANTILES,
        "curves": {name: _curve(view, name) for name in _CURVES},
    }


def _axis_data(axis: Axis, plans: Sequence[Plan]) -> dict[str, Any]:
    values = [plan.objectives[axis.metric] * axis.factor for plan in plans]
    words = {"label": axis.label, "short": axis.short, "title": axis.title}
    return words | {"range": axis_range(values)}


def _curve(view: StudyView, name: str) -> dict[str, Any]:
    """One latency of every plan: its values at QUANTILES, and the targets that are set on it."""
    curves = {plan: each[name] for plan, each in view.latency_curves.items() if name in each}
    limits = {
        int(metric.split("_")[1][1:]): limit
        for metric, limit in view.spec.targets.latency_limits().items()
        if metric.startswith(name)
    }
    tails = [values[int(0.99 * (len(values) - 1))] for values in curves.values()]
    highest = max([*tails, *limits.values()], default=1.0)
    unit, factor = _time_unit(highest)
    return {
        "title": f"{metric_label(f'{name}_p50_s').removeprefix('P50 ').capitalize()} ({unit})",
        "highest": _rounded(1.08 * highest * factor),
        "plans": {plan: [_rounded(v * factor) for v in values] for plan, values in curves.items()},
        "targets": [
            {
                "x": _rounded(limit * factor),
                "y": percentile / 100,
                "text": f"target: P{percentile} at most {seconds_text(limit)}",
            }
            for percentile, limit in sorted(limits.items())
        ],
    }


def _time_unit(highest_s: float) -> tuple[str, float]:
    return ("s", 1.0) if highest_s >= 1 else ("ms", 1000.0)


def _kind(trial: TrialView) -> Kind | None:
    if not trial.feasible:
        return "infeasible"
    return None if trial.on_front else "dominated"


def _values(objectives: dict[str, float], axes: Iterable[Axis]) -> list[float]:
    return [_rounded(objectives[axis.metric] * axis.factor) for axis in axes]


def _hover(name: str, objectives: dict[str, float]) -> str:
    """The text of a point. Plotly reads some markup in it, so it is escaped here."""
    lines = [f"{metric_label(each)}: {metric_text(each, v)}" for each, v in objectives.items()]
    return "<br>".join([f"<b>{html.escape(name)}</b>", *map(html.escape, lines)])


def _trial_hover(trial: TrialView, kind: Kind) -> str:
    text = _hover(kind, trial.objectives or {})
    return f"{text}<br>{html.escape(trial.reason)}" if trial.reason else text


def _rounded(value: float) -> float:
    """Six significant digits: more than can be seen, and a smaller file."""
    return float(f"{value:.6g}")
