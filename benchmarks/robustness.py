"""Intervals of plans held against fresh traffic, and what robust plans bring there.

    python -m benchmarks.robustness [--worlds 8] [--days 20] [--sampler mobo] [CASE ...]

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
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from boute.context import Context, prepare
from boute.evaluate import evaluate
from boute.metrics import is_maximised
from boute.optimizer.constraints import misses
from boute.optimizer.front import drawn_again
from boute.optimizer.rivalry import run_sampler
from boute.optimizer.trial import Trial
from boute.optimizer.workers import Workers
from boute.spec.model import Spec
from boute.workload.source import load_trace

TABLE: Final = 500
EVALUATIONS: Final = 48
PLANS: Final = 6  # of a front, the most balanced; and the cheapest
METRICS: Final = ("e2e_p95_s", "ttft_p95_s", "tpot_p95_s", "quality")

_LENGTHS: Final[dict[str, Any]] = {
    "input_tokens": {"median": 700, "sigma": 1.0, "maximum": 8000},
    "output_tokens": {"median": 180, "sigma": 0.7, "maximum": 1500},
}
CASES: Final[dict[str, dict[str, Any]]] = {
    "poisson": {"generator": {"arrivals": "poisson", "rate_per_s": 8, **_LENGTHS}},
    "gamma": {"generator": {"arrivals": "gamma", "cv": 4, "rate_per_s": 8, **_LENGTHS}},
    "on-off": {"generator": {"arrivals": "on-off", "rate_per_s": 8, **_LENGTHS}},
    "azure-conversation": {"trace": "azure-conversation", "duration_s": 600, "rate_scale": 2},
}
_SPEC: Final[dict[str, Any]] = {
    "models": ["llama-3.1-8b", "llama-3.1-70b"],
    "gpus": {"h100-sxm": {"count": 16}, "a100-80gb": {"count": 16}, "l40s": {"count": 16}},
    "quality": {"table": "llama-3.1"},
    "engine": {"max_model_len": 32_768},  # that of a day follows its longest request
    "targets": {"ttft_p95_s": 0.5, "tpot_p95_s": 0.045, "quality_min": 0.75},
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
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--sampler", default="mobo")
    parser.add_argument("--coverage-only", action="store_true")
    arguments = parser.parse_args()
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
        found = tally.summary() | {"seconds": round(time.monotonic() - start)}
        print(json.dumps({case: found}, indent=2, ensure_ascii=False), flush=True)


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
    known = replace(
        whole,
        table=table,
        quality=table.quality,
        score=whole.score[rows],
        evidence=whole.evidence.take(rows),
    )
    first = 1000 * (number + 1)
    fresh = tuple(_on_day(whole, first + day) for day in range(days))
    return World(_on_day(known, number), fresh)


def _on_day(context: Context, seed: int) -> Context:
    """The context with the traffic of a seed, asking queries of the context's table."""
    trace = load_trace(context.spec.workload, Path(), seed)
    workload = context.paired(trace, seed)
    source = context.spec.workload.model_copy(update={"seed": seed})
    spec = context.spec.model_copy(update={"workload": source})
    return replace(context, spec=spec, trace=trace, workload=workload)


def searched(context: Context, sampler: str, seed: int) -> list[Trial]:
    """The most balanced plans of a search's front, with their intervals."""
    front = run_sampler(context, sampler, seed, EVALUATIONS).front
    kept = sorted({*range(min(PLANS, len(front))), _cheapest(front)}) if front else []
    return drawn_again([front[index] for index in kept], Workers(context, 1))


def count_coverage(tally: Tally, plans: list[Trial], world: World) -> None:
    """How often fresh days fall within the intervals of plans."""
    within: dict[str, list[bool]] = {metric: [] for metric in METRICS}
    worse: dict[str, list[bool]] = {metric: [] for metric in METRICS}
    for trial in plans:
        assert trial.outcome is not None
        for metric, values in _fresh(trial, world).items():
            low, high = trial.outcome.interval(metric)
            within[metric] += [low <= value <= high for value in values]
            worse[metric] += [
                value < low if is_maximised(metric) else value > high for value in values
            ]
    for metric in METRICS:
        tally.add(f"{metric}: within", within[metric])
        tally.add(f"{metric}: beyond the worse end", worse[metric])


def _fresh(trial: Trial, world: World) -> dict[str, list[float]]:
    """What a plan does on each fresh day, and the quality of its routing on all rows."""
    assert trial.decision is not None
    days = [evaluate(trial.decision, day.workload, day) for day in world.days]
    found = {metric: [day.value(metric) for day in days] for metric in METRICS}
    return found | {"quality": found["quality"][:1]}


def count_kept(tally: Tally, plain: list[Trial], robust: list[Trial], world: World) -> None:
    """Share of fresh days on which targets are kept, and what that costs."""
    without = not (plain and robust)
    tally.add("worlds in which a search found no plan", [without])
    if without:
        return
    for name, plans in (("plain", plain), ("robust", robust)):
        shares = [_kept(trial, world) for trial in plans]
        tally.add(f"{name}: days kept by a plan", shares)
        tally.add(f"{name}: days kept by a plan, as said", [_said(trial) for trial in plans])
        tally.add(f"{name}: days kept by the cheapest", [shares[_cheapest(plans)]])
    costs = [_cost(plans[_cheapest(plans)]) for plans in (plain, robust)]
    tally.add("cost of the cheapest, robust over plain", [costs[1] / costs[0]])


def _kept(trial: Trial, world: World) -> float:
    assert trial.decision is not None
    targets = world.context.spec.targets
    days = (evaluate(trial.decision, day.workload, day) for day in world.days)
    return float(np.mean([not misses(day, targets) for day in days]))


def _said(trial: Trial) -> float:
    assert trial.outcome is not None
    assert trial.outcome.robustness is not None
    return trial.outcome.robustness.keeps_targets


def _cost(trial: Trial) -> float:
    assert trial.outcome is not None
    return trial.outcome.cost_per_hour


def _cheapest(plans: Sequence[Trial]) -> int:
    return int(np.argmin([_cost(trial) for trial in plans]))


def _with_error(values: list[float]) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {error:.3f}"


if __name__ == "__main__":
    main()
