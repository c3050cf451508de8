"""Samplers side by side on one spec: hypervolume against evaluations and against seconds.

Every run starts from nothing but the loaded spec: its seconds include the offline table and
whatever a sampler prepares. Runs are one after another, so that none slows another down.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boute.context import Context, located, prepare
from boute.optimizer.front import front_trials
from boute.optimizer.problem import Problem
from boute.optimizer.run import search_problem
from boute.optimizer.sampler import check_sampler
from boute.optimizer.search import Limits, Step
from boute.optimizer.study import Study, StudyHeader
from boute.optimizer.trial import Trial
from boute.report.rivalry_png import Curve
from boute.spec.load import load_spec

__all__ = ["Run", "compare_samplers", "run_sampler", "summary"]


@dataclass(frozen=True)
class Run:
    """One search: its curve and front, whether the sampler came to an end, the seconds it took."""

    sampler: str
    seed: int
    curve: Curve
    front: tuple[Trial, ...]
    ended: bool
    seconds: float

    @property
    def hypervolume(self) -> float:
        """Normalised, at the end; 0 where nothing was feasible."""
        return self.curve.hypervolume[-1] if self.curve.hypervolume else 0.0


def compare_samplers(
    spec_file: Path,
    samplers: Sequence[str],
    *,
    evaluations: int,
    seeds: int,
    time_limit_s: float | None = None,
    on_run: Callable[[Run], None] = lambda run: None,
) -> list[Run]:
    """Run each sampler with seeds 0, 1, ... within limits; raise InputError."""
    for name in samplers:
        check_sampler(name)
    context = prepare(load_spec(spec_file), spec_file.parent, where=str(spec_file))
    runs = []
    for name in samplers:
        for seed in range(seeds):
            with located(str(spec_file)):
                run = run_sampler(context, name, seed, evaluations, time_limit_s)
            runs.append(run)
            on_run(run)
    return runs


def run_sampler(
    context: Context, name: str, seed: int, evaluations: int, time_limit_s: float | None = None
) -> Run:
    """One search within limits; its seconds count from here, so the offline table is in them.

    Raises InputError for an unknown sampler and InfeasibleError when no point is a plan.
    """
    started = time.monotonic()
    seconds: list[float] = []
    volumes: list[float] = []

    def note(step: Step) -> None:
        seconds.append(round(time.monotonic() - started, 4))
        volumes.append(step.hypervolume)

    deadline_s = None if time_limit_s is None else started + time_limit_s
    header = StudyHeader(context.spec_hash, "compare", tuple(context.spec.objectives))
    with Study(None, header) as study:
        limits = Limits(evaluations, deadline_s)
        search = search_problem(Problem(context), study, name, seed, limits, on_step=note)
    curve = Curve(name, tuple(seconds), tuple(volumes))
    front = tuple(front_trials(search.trials))
    return Run(name, seed, curve, front, search.ended, time.monotonic() - started)


def summary(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """For JSON: of each sampler the median and the extremes, and the curve of every run."""
    return [
        _of_sampler(name, [run for run in runs if run.sampler == name])
        for name in dict.fromkeys(run.sampler for run in runs)
    ]


def _of_sampler(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    volumes = [run.hypervolume for run in runs]
    return {
        "sampler": name,
        "hypervolume": {
            "median": statistics.median(volumes),
            "least": min(volumes),
            "most": max(volumes),
        },
        "evaluations": statistics.median(len(run.curve.hypervolume) for run in runs),
        "seconds": statistics.median(run.seconds for run in runs),
        "runs": [
            {
                "seed": run.seed,
                "ended": run.ended,
                "seconds": list(run.curve.seconds),
                "hypervolume": list(run.curve.hypervolume),
            }
            for run in runs
        ],
    }
