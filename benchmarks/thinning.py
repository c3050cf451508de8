"""The stated error of thinning held against whole traces, with many draws of the windows.

    python -m benchmarks.thinning PLAN [PLAN ...] [--draws 10]

Each plan, of a trace long enough to be thinned, is simulated on every request once and then on the
windows of each draw. Printed is by how much each metric with a stated error is off on average, how
far its draws spread, what error they state on average, and on how many the truth is within it.
The plans of a search share one draw; this shows what luck with it may be.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from boute.context import Context
from boute.evaluate import evaluate
from boute.outcome import Outcome
from boute.plan.decision import Decision, decision_of
from boute.plan.store import load_plan
from boute.workload.arrays import Trace
from boute.workload.source import load_trace
from boute.workload.thinning import thin
from boute.world import context_of, whole_workload


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("plans", nargs="+", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    told = parser.parse_args()
    print("| plan | metric | off on average | spread of draws | stated error | within |")
    print("|---|---|---|---|---|---|")
    for path in told.plans:
        plan = load_plan(path)
        context = context_of(plan, path)
        for row in rows(decision_of(plan), context, told.draws):
            print(f"| {path.stem} | {row} |", flush=True)


def rows(decision: Decision, context: Context, draws: int) -> Iterator[str]:
    """One row a metric with a stated error; all in percent of what it is on the whole trace."""
    every = whole_workload(context, decision)
    whole = evaluate(decision, every, replace(context, workload=every))
    source = context.spec.workload
    trace = load_trace(source, context.folder, source.seed)
    found = [drawn(decision, context, trace, seed) for seed in range(draws)]
    for metric in found[0].thinning_error:
        truth = whole.value(metric)
        off = np.array([outcome.value(metric) / truth - 1.0 for outcome in found])
        stated = np.array([outcome.thinning_error[metric] / truth for outcome in found])
        within = int(np.count_nonzero(np.abs(off) <= stated))
        yield (
            f"{metric} | {off.mean():+.1%} | {off.std(ddof=1):.1%} | ±{stated.mean():.1%} | "
            f"{within} of {draws}"
        )


def drawn(decision: Decision, context: Context, trace: Trace, seed: int) -> Outcome:
    """What a plan does by one draw of windows."""
    windows, thinning = thin(trace, context.spec.workload.thin_to, seed)
    workload = context.paired(windows, seed)
    return evaluate(decision, replace(workload, thinning=thinning), context)


if __name__ == "__main__":
    main()
