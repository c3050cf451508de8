"""What each part of the default search brings: the search with that part left out, side by side.

    python -m benchmarks.search.ablations

Every recipe searches each case with the same seeds, until the clock runs out. Printed are medians
of the hypervolume after 64 evaluations and after 5, 10 and 20 seconds, as shares of the best that
any recipe reached on the case. Seconds are of CPU time: other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.search.bars import volume_at
from benchmarks.search.cell import MANY
from boute.context import Context, prepare
from boute.optimizer.mobo import Mobo, Recipe
from boute.optimizer.problem import Problem
from boute.optimizer.search import Limits, Search, Step
from boute.optimizer.study import Study
from boute.optimizer.study_header import header_of
from boute.optimizer.workers import Workers
from boute.spec.load import load_spec

CASES: Final = Path(__file__).parent / "cases"
SECONDS: Final = (5.0, 10.0, 20.0)
EVALUATIONS: Final = 64

# A window shorter than the workloads of all cases: looks are then wrong, and there is a difference
# to learn.
SHORT: Final = (2048,)

RECIPES: Final = {
    "all": Recipe(),
    "no formulas": Recipe(formulas=False),
    "no guide": Recipe(guide=False),
    "no placements": Recipe(placements=False),
    "no local search": Recipe(local_search=False),
    "no bargains": Recipe(bargains=False),
    "formulas and surrogate": Recipe(windows=(), surrogate=True),
    "formulas alone": Recipe(windows=()),
    "short window and surrogate": Recipe(windows=SHORT, surrogate=True),
    "short window alone": Recipe(windows=SHORT),
    "short window and then all": Recipe(windows=(*SHORT, *Recipe().windows)),
}


class _OutOfTimeError(Exception):
    """The clock has run out, in the middle of a batch."""


class Reached(NamedTuple):
    """Hypervolume after 64 evaluations, and after each of the seconds."""

    at_evaluations: float
    at_seconds: tuple[float, ...]


def searched(context: Context, recipe: Recipe, seed: int, most: int = MANY) -> Reached:
    """One search with a recipe, of at most so many evaluations."""
    started = time.process_time()
    curve: list[tuple[int, float, float]] = []

    def note(step: Step) -> None:
        seconds = time.process_time() - started
        curve.append((len(curve) + 1, seconds, step.hypervolume))
        if seconds > SECONDS[-1] and len(curve) >= EVALUATIONS:
            raise _OutOfTimeError

    problem = Problem(context)
    header = header_of(context, "ablations")
    with Study(None, header) as study, Workers(context, 1) as workers:
        sampler = Mobo(problem, seed, recipe)
        search = Search(problem, study, sampler, workers, "mobo", seed, on_step=note)
        with contextlib.suppress(_OutOfTimeError):
            search.run(Limits(most))
    return Reached(
        volume_at(curve, evaluations=EVALUATIONS),
        tuple(volume_at(curve, limit_s) for limit_s in SECONDS),
    )


def table(found: dict[tuple[str, str], list[Reached]]) -> list[str]:
    """Rows of a markdown table, one a recipe: medians as shares of the best on each case."""
    cases = list(dict.fromkeys(case for case, _ in found))
    best = {case: max(v for (c, _), runs in found.items() if c == case
                      for run in runs for v in (run.at_evaluations, *run.at_seconds))
            for case in cases}  # fmt: skip
    head = ["recipe", *(f"{case}, {EVALUATIONS} / {' / '.join(f'{s:g} s' for s in SECONDS)}"
                        for case in cases)]  # fmt: skip
    rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for recipe in dict.fromkeys(name for _, name in found):
        cells = []
        for case in cases:
            runs = found[case, recipe]
            columns = zip(*((run.at_evaluations, *run.at_seconds) for run in runs), strict=True)
            shares = [statistics.median(column) / max(best[case], 1e-12) for column in columns]
            cells.append(" / ".join(f"{share:.3f}" for share in shares))
        rows.append(f"| {recipe} | {' | '.join(cells)} |")
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Search with every recipe and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", default="small-b,large-llama,large-qwen")
    parser.add_argument("--recipes", default=",".join(RECIPES))
    options = parser.parse_args(arguments)
    found: dict[tuple[str, str], list[Reached]] = {}
    for case in options.cases.split(","):
        path = CASES / f"{case}.yaml"
        context = prepare(load_spec(path), path.parent, where=str(path))
        searched(context, Recipe(), 0, most=EVALUATIONS)  # imports and compiles; not timed
        for name in options.recipes.split(","):
            runs = [searched(context, RECIPES[name], seed) for seed in range(options.seeds)]
            found[case, name] = runs
            print(f"{case}, {name}: {[round(run.at_evaluations, 4) for run in runs]}", flush=True)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
