"""The table of the paper, on scenarios of ours: the planner's plans against each baseline's.

Three comparisons, all on a trace that no search has seen: cost at equal quality and latency,
latency at equal quality and budget, throughput at equal quality and budget.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.search.bars import Bar
from benchmarks.search.cell import Record
from benchmarks.search.equal import (
    Best,
    Terms,
    Versus,
    at_equal_budget,
    at_equal_latency,
    throughput,
    versus,
)
from benchmarks.search.judge import LEVELS, Judged, latency_objective
from boute.spec.load import load_spec

__all__ = ["BASELINES", "Scenario", "cost_bars", "markdown", "scenario_of"]

BASELINES: Final = ("single-model", "single-gpu", "sequential", "bilevel")

_ASKED: Final = 0.35
_KINDS: Final[tuple[tuple[str, Callable[[Terms], Best]], ...]] = (
    ("Cost at equal quality and P95, less by", at_equal_latency),
    ("P95 at equal quality and budget, better by", at_equal_budget),
    ("Throughput at equal quality and budget, more by", throughput),
)


@dataclass(frozen=True)
class Scenario:
    """What a scenario asks, and the judged plans of each sampler, a list a seed."""

    name: str
    terms: Terms
    plans: Mapping[str, Sequence[Sequence[Judged]]]
    fronts: Mapping[str, Sequence[int]]

    def against(self, baseline: str, kind: Callable[[Terms], Best]) -> list[Versus]:
        """The planner against a baseline, seed by seed; a baseline without seeds meets them all."""
        own, other = self.plans["mobo"], self.plans[baseline]
        best = kind(self.terms)
        return [versus(plans, other[seed % len(other)], best) for seed, plans in enumerate(own)]


def scenario_of(case: Path, records: Mapping[str, Sequence[Record]]) -> Scenario | None:
    """The scenario of the records of all its samplers; None where no search was judged."""
    spec = load_spec(case)
    targets = spec.targets
    told = [r["judged"] for found in records.values() for r in found if not r["error"]]
    if not told:
        return None
    assert targets.budget_per_hour is not None
    limit_s = targets.latency_limits()[latency_objective(spec)]
    return Scenario(
        name=case.stem,
        terms=Terms(tuple(told[0]["levels"]), limit_s, targets.budget_per_hour),
        plans={name: [_plans(record) for record in found] for name, found in records.items()},
        fronts={
            name: [len(record["front"]) for record in found] for name, found in records.items()
        },
    )


def cost_bars(scenarios: Sequence[Scenario]) -> list[Bar]:
    """Cost at equal quality and P95: well below the plain baselines, never above the strong."""
    plain = [_below(scenarios, name) for name in ("single-model", "single-gpu")]
    return [*plain, *(_never_above(scenarios, name) for name in ("sequential", "bilevel"))]


def markdown(scenarios: Sequence[Scenario]) -> str:
    """The table, as it stands in the docs."""
    lines: list[str] = []
    for title, kind in _KINDS:
        lines += [f"| {title} | {' | '.join(BASELINES)} |", "|---|" + "---|" * len(BASELINES)]
        for scenario in scenarios:
            cells = [_cell(scenario, name, kind) for name in BASELINES]
            lines.append(f"| {scenario.name} | {' | '.join(cells)} |")
        means = [_percent(_average(scenarios, name, kind), kind) for name in BASELINES]
        lines += [f"| average | {' | '.join(means)} |", ""]
    return "\n".join([*lines, *_by_level(scenarios), "", *_kept(scenarios)])


def _below(scenarios: Sequence[Scenario], baseline: str) -> Bar:
    average = _average(scenarios, baseline, at_equal_latency)
    saving = 0.0 if average is None else 1.0 - average
    alone = sum(v.only_planner for s in scenarios for v in s.against(baseline, at_equal_latency))
    lost = sum(v.only_baseline for s in scenarios for v in s.against(baseline, at_equal_latency))
    return Bar(
        what=f"cost below {baseline}, average of {len(scenarios)} scenarios",
        asked=f"{_ASKED:.0%}",
        figure=f"{saving:.1%}",
        met=saving >= _ASKED,
        note=f"over all seeds {alone} targets met by the planner alone, {lost} by it alone",
    )


def _never_above(scenarios: Sequence[Scenario], baseline: str) -> Bar:
    found = [v for s in scenarios for v in s.against(baseline, at_equal_latency)]
    ratios = [ratio for v in found for ratio in v.ratios]
    above = sum(ratio > 1.0 + 1e-9 for ratio in ratios)
    lost = sum(v.only_baseline for v in found)
    return Bar(
        what=f"cost never above {baseline}",
        asked="at no target in no seed",
        figure=f"above at {above} of {len(ratios)}",
        met=above == 0 and lost == 0,
        note=f"at worst {max(ratios, default=1.0) - 1.0:+.1%}; {lost} targets met by it alone",
    )


def _average(
    scenarios: Sequence[Scenario], baseline: str, kind: Callable[[Terms], Best]
) -> float | None:
    """Mean over scenarios of the median over seeds; scenarios without a common target left out."""
    found = [_median(scenario, baseline, kind) for scenario in scenarios]
    known = [ratio for ratio in found if ratio is not None]
    return statistics.mean(known) if known else None


def _median(scenario: Scenario, baseline: str, kind: Callable[[Terms], Best]) -> float | None:
    means = [v.mean for v in scenario.against(baseline, kind)]
    known = [mean for mean in means if mean is not None]
    return statistics.median(known) if known else None


def _cell(scenario: Scenario, baseline: str, kind: Callable[[Terms], Best]) -> str:
    """Percent, and of how many targets: both meet, + the planner alone, - the baseline alone."""
    found = scenario.against(baseline, kind)
    seeds = len(found)
    both, alone, lost = (
        round(sum(count) / seeds, 1)
        for count in zip(
            *((len(v.ratios), v.only_planner, v.only_baseline) for v in found), strict=True
        )
    )
    return f"{_percent(_median(scenario, baseline, kind), kind)} ({both:g} +{alone:g} -{lost:g})"


def _percent(ratio: float | None, kind: Callable[[Terms], Best]) -> str:
    if ratio is None:
        return "none"
    return f"{1.0 - ratio if kind is at_equal_latency else 1.0 / ratio - 1.0:.0%}"


def _plans(record: Record) -> list[Judged]:
    return [] if record["error"] else [Judged(**plan) for plan in record["judged"]["plans"]]


def _by_level(scenarios: Sequence[Scenario]) -> list[str]:
    """The averages of the first comparison at each level of quality alone."""
    lines = [
        f"| Cost at a quality of | {' | '.join(BASELINES)} |",
        "|---|" + "---|" * len(BASELINES),
    ]
    for place, level in enumerate(LEVELS):
        there = [
            replace(s, terms=replace(s.terms, levels=(s.terms.levels[place],))) for s in scenarios
        ]
        means = [
            _percent(_average(there, name, at_equal_latency), at_equal_latency)
            for name in BASELINES
        ]
        lines.append(
            f"| the floor + {level:.0%} of the way to the best model | {' | '.join(means)} |"
        )
    return lines


def _kept(scenarios: Sequence[Scenario]) -> list[str]:
    """How many plans of each side's fronts still keep the targets on the other trace."""
    lines = ["| plans that keep the targets on the other trace | of | share |", "|---|---|---|"]
    for name in ("mobo", *BASELINES):
        plans = sum(sum(scenario.fronts[name]) for scenario in scenarios)
        kept = sum(p.feasible for s in scenarios for seed in s.plans[name] for p in seed)
        lines.append(f"| {name} | {kept} of {plans} | {kept / plans if plans else 0.0:.0%} |")
    return lines
