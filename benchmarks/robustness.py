"""Intervals of plans held against fresh traffic, and what robust plans bring there.

    python -m benchmarks.robustness [--worlds 12] [--days 20] [--sampler mobo] [CASE ...]

A world is one day of a case's traffic and a quality table of TABLE rows drawn from all rows of the
preset. A plain and a robust search plan for it. Then come fresh days: arrivals and lengths from
other seeds, queries from all rows of the preset. Counted are, plan by plan, the days on which a
metric falls within its interval, and beyond the worse end of it (nominal: 5%), and the days on
which all targets are kept. Quality, which has no days, is held against that of all rows. Shares are
means over worlds, which are independent, with the standard error of that mean.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from boute.context import Context, prepare
from boute.evaluate import evaluate
from boute.metrics import is_maximised
from boute.optimizer.constraints import misses
from boute.optimizer.front import drawn_again, front_trials
from boute.optimizer.problem import Problem
from boute.optimizer.run import search_problem
from boute.optimizer.search import Limits
from boute.optimizer.study import Study, StudyHeader
from boute.optimizer.trial import Trial
from boute.optimizer.workers import Workers
from boute.outcome import Outcome
from boute.routing.expected import expected_quality
from boute.spec.model import Spec
from boute.workload.pairing import pair
from boute.workload.source import load_trace

TABLE: Final = 500
EVALUATIONS: Final = 48
PLANS: Final = 6  # of a front, the most balanced

_LENGTHS: Final[dict[str, Any]] = {
    "input_tokens": {"median": 700, "sigma": 1.0, "maximum": 8000},
    "output_tokens": {"median": 180, "sigma": 0.7, "maximum": 1500},
}
CASES: Final[dict[str, dict[str, Any]]] = {
    "poisson": {"generator": {"arrivals": "poisson", "rate_per_s": 8, **_LENGTHS}},
    "gamma": {"generator": {"arrivals": "gamma", "cv": 4, "rate_per_s": 8, **_LENGTHS}},
    "on-off": {"generator": {"arrivals": "on-off", "rate_per_s": 8, **_LENGTHS}},
    "azure-conversation": {"trace": "azure-conversation", "duration_s": 600, "rate_scale": 2},
    "azure-code": {"trace": "azure-code", "duration_s": 1200, "rate_scale": 2},
}
_SPEC: Final[dict[str, Any]] = {
    "models": ["llama-3.1-8b", "llama-3.1-70b"],
    "gpus": {"h100-sxm": {"count": 16}, "a100-80gb": {"count": 16}, "l40s": {"count": 16}},
    "quality": {"table": "llama-3.1"},
    "targets": {"ttft_p95_s": 1.0, "tpot_p95_s": 0.06, "quality_min": 0.72},
}


@dataclass(frozen=True, eq=False)
class World:
    """What is known when plans are made, and the days on which they are tried."""

    context: Context
    days: tuple[Context, ...]

    def robust(self) -> Context:
        """The same, for a robust search."""
        spec = self.context.spec
        search = spec.search.model_copy(update={"robust": True})
        return replace(self.context, spec=spec.model_copy(update={"search": search}))


@dataclass
class Tally:
    """Shares by name, one a world."""

    shares: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, values: list[bool] | list[float]) -> None:
        """Take in the values of one world as their mean."""
        if values:
            self.shares.setdefault(name, []).append(float(np.mean(values)))

    def summary(self) -> dict[str, str]:
        """Means over worlds with their standard errors."""
        return {name: _with_error(values) for name, values in self.shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", default=list(CASES))
    parser.add_argument("--worlds", type=int, default=12)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--sampler", default="mobo")
    parser.add_argument("--coverage-only", action="store_true")
    arguments = parser.parse_args()
    found = {}
    for case in arguments.cases:
        start = time.monotonic()
        tally = Tally()
        for number in range(arguments.worlds):
            world = make_world(CASES[case], number, arguments.days)
            plain = searched(world.context, arguments.sampler, number)
            count_coverage(tally, plain, world)
            if not arguments.coverage_only:
                robust = searched(world.robust(), arguments.sampler, number)
                count_kept(tally, plain, robust, world)
        found[case] = tally.summary() | {"seconds": round(time.monotonic() - start)}
        print(json.dumps({case: found[case]}, indent=2), flush=True)


def make_world(workload: dict[str, Any], number: int, days: int) -> World:
    """World `number` of a case, with its fresh days."""
    spec = Spec.model_validate({**_SPEC, "workload": {**workload, "seed": number}})
    whole = prepare(spec, Path())
    rows = np.random.default_rng([number, 1]).integers(len(whole.score), size=TABLE)
    table = replace(
        whole.table,
        quality=whole.quality[rows],
        output_tokens=whole.table.output_tokens[rows],
        score=whole.score[rows],
    )
    known = replace(whole, table=table, quality=table.quality, score=whole.score[rows])
    longest = 2 * whole.max_model_len  # a fresh day may bring longer requests
    known = replace(known, max_model_len=longest)
    return World(
        context=_on_day(known, number),
        days=tuple(
            _on_day(replace(whole, max_model_len=longest), seed) for seed in _seeds(number, days)
        ),
    )


def _seeds(number: int, days: int) -> Iterator[int]:
    for day in range(days):
        yield 1_000_000 + 1000 * number + day


def _on_day(context: Context, seed: int) -> Context:
    """The context with the traffic of a seed, asking queries of the context's table."""
    trace = load_trace(context.spec.workload, Path(), seed)
    workload = pair(
        trace,
        context.model_names,
        context.score,
        context.table.output_tokens,
        output_length="scaled",
        seed=seed,
    )
    source = context.spec.workload.model_copy(update={"seed": seed})
    spec = context.spec.model_copy(update={"workload": source})
    return replace(context, spec=spec, trace=trace, workload=workload)


def searched(context: Context, sampler: str, seed: int) -> list[Trial]:
    """The most balanced plans of a search's front, with their intervals."""
    header = StudyHeader(context.spec_hash, "world", tuple(context.spec.objectives))
    with Study(None, header) as study:
        search = search_problem(Problem(context), study, sampler, seed, Limits(EVALUATIONS))
    front = front_trials(search.trials)
    kept = sorted({0, *range(min(PLANS, len(front))), *_cheapest(front)})
    return drawn_again([front[index] for index in kept], Workers(context, 1))


def _cheapest(front: list[Trial]) -> list[int]:
    costs = [trial.outcome.cost_per_hour for trial in front if trial.outcome]
    return [int(np.argmin(costs))] if costs else []


def count_coverage(tally: Tally, plans: list[Trial], world: World) -> None:
    """How often fresh days fall within the intervals of plans."""
    within: dict[str, list[bool]] = {}
    beyond: dict[str, list[bool]] = {}
    whole = world.days[0]
    for trial in plans:
        assert trial.decision is not None
        assert trial.outcome is not None
        days = [evaluate(trial.decision, day.workload, day) for day in world.days]
        quality = expected_quality(whole.quality, whole.score, trial.decision.routing.thresholds)
        for metric in ("e2e_p95_s", "ttft_p95_s", "tpot_p95_s", "quality"):
            values = [day.value(metric) for day in days] if metric != "quality" else [quality.mean]
            low, high = trial.outcome.interval(metric)
            within.setdefault(metric, []).extend(low <= value <= high for value in values)
            beyond.setdefault(metric, []).extend(
                value < low if is_maximised(metric) else value > high for value in values
            )
        _count_calibration(tally, trial.outcome, days)
    for metric, hits in within.items():
        tally.add(f"{metric} within", hits)
        tally.add(f"{metric} beyond the worse end", beyond[metric])


def _count_calibration(tally: Tally, outcome: Outcome, days: list[Outcome]) -> None:
    """What the share of resamples that keep the targets promises, and what days do."""
    assert outcome.robustness is not None
    # Days have the queries of all rows, and their latencies; the table's chance is in both shares.
    tally.add("keeps targets, said", [outcome.robustness.keeps_targets])


def count_kept(tally: Tally, plain: list[Trial], robust: list[Trial], world: World) -> None:
    """Share of fresh days on which targets are kept, and what that costs."""
    costs = []
    for name, plans in (("plain", plain), ("robust", robust)):
        if not plans:
            return
        shares = [_kept(trial, world) for trial in plans]
        cheapest = min(range(len(plans)), key=lambda index: (_cost(plans[index]), index))
        tally.add(f"{name}: days kept by a plan", shares)
        tally.add(f"{name}: days kept by the cheapest", [shares[cheapest]])
        costs.append(_cost(plans[cheapest]))
    tally.add("cost of the cheapest, robust over plain", [costs[1] / costs[0]])


def _kept(trial: Trial, world: World) -> float:
    assert trial.decision is not None
    targets = world.context.spec.targets
    days = (evaluate(trial.decision, day.workload, day) for day in world.days)
    return float(np.mean([not misses(day, targets) for day in days]))


def _cost(trial: Trial) -> float:
    assert trial.outcome is not None
    return trial.outcome.cost_per_hour


def _with_error(values: list[float]) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {error:.3f}"


if __name__ == "__main__":
    main()
