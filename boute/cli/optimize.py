"""`boute optimize SPEC`: search, and leave ranked plans, tables, a picture and a report."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from boute.optimizer.run import Result
    from boute.optimizer.start import Start

__all__ = ["optimize"]

MOST_WORKERS: Final = 256

# Plans printed: what fits a screen. The files hold the whole front.
SHOWN: Final = 12


def optimize(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A boute.yaml.")],
    study: Annotated[
        Path | None, typer.Option("--study", help="Study to start or go on with (SQLite).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("out"),
    evaluations: Annotated[
        int | None, typer.Option("--evaluations", min=1, help="Plans to simulate, in all.")
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option("--time-limit", min=0.1, help="Be done in about so many seconds."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the search.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="exact, mobo, nsga2, sobol, or a rival.")
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option("--from", metavar="STUDY|PLAN", help="Start from another study or a plan."),
    ] = None,
    workers: Annotated[
        str,
        typer.Option("--workers", help="Processes that simulate plans, or ray for a Ray cluster."),
    ] = "1",
    robust: Annotated[
        bool | None,
        typer.Option("--robust/--plain", help="Judge plans at the worse end of their intervals."),
    ] = None,
    intervals: Annotated[
        bool, typer.Option(help="Simulate the front over resamples of the workload.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the front as JSON.")] = False,
) -> None:
    """Search for the Pareto front of plans and write it to a folder.

    Writes front.csv, front.json, front.png, report.html and plans/*.yaml. Exits with 3 when no plan
    meets what was asked, and says which constraint binds.
    """
    started_s = time.monotonic()  # before the imports, as a time limit is for them too
    from boute.cli.console import print_json
    from boute.cli.progress import SearchProgress
    from boute.optimizer.run import Request, load_settings
    from boute.optimizer.run import optimize as run

    request = Request(
        spec,
        out,
        study_file=study,
        sampler=sampler,
        evaluations=evaluations,
        time_limit_s=time_limit,
        seed=seed,
        workers=_workers(workers),
        robust=robust,
        intervals=intervals,
        start_from=start_from,
        started_s=started_s,
    )
    settings = load_settings(request)
    try:
        with SearchProgress(settings) as progress:
            result = run(request, progress.step)
    except KeyboardInterrupt:
        kept = study or out / "study.db"
        raise KeyboardInterrupt(f"--study {kept} goes on where it stopped") from None
    if as_json:
        print_json(_summary(result, out))
    else:
        _show(result, out)


def _show(result: Result, out: Path) -> None:
    """The front as a table, how it came about, and where it lies."""
    from boute.cli.console import note, show
    from boute.report.tables import front_table
    from boute.report.thinning import thinning_says

    show(front_table(result.view, most=SHOWN))
    chosen = result.plans[0]
    if result.start is not None and result.start.source:
        note(_started(result.start))
    note(
        f"{len(result.plans)} plans from {result.view.evaluations} evaluations in "
        f"{result.seconds:.1f} s; {chosen.name} is the most balanced"
        + (f"; the {SHOWN} most balanced are shown" if len(result.plans) > SHOWN else "")
    )
    if result.drawing_s > 0.0:
        note(_intervals(result))
    for sentence in [*result.certificate.says, *thinning_says(result.plans, result.view.spec)]:
        note(sentence)
    note(f"report: {out / 'report.html'}")
    note(f"plan:   {out / 'plans' / chosen.name}.yaml")


def _started(start: Start) -> str:
    """How much of what a search was started from is of use here."""
    return (
        f"{start.source}: {start.carried} of {start.plans} plans were carried over, {start.whole} "
        f"of them with every replica; the {len(start.first)} that promise most were tried first"
    )


def _workers(text: str) -> int | str:
    """A number of processes, `ray`, or the address of a cluster."""
    if text == "ray" or text.startswith("ray://"):
        return text
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_WORKERS:
        return int(text)
    raise typer.BadParameter(
        f"{text!r} should be from 1 to {MOST_WORKERS}, ray, or an address like ray://host:10001",
        param_hint="'--workers'",
    )


def _intervals(result: Result) -> str:
    """What the intervals are of, and what they took."""
    drawn = [plan.predicted.robustness for plan in result.plans if plan.predicted.robustness]
    if not drawn:
        return "no intervals: the time limit left no time for them"
    rest = len(result.plans) - len(drawn)
    judged = "; plans were judged by their worse ends" if result.view.spec.search.robust else ""
    return (
        f"intervals: {drawn[0].confidence:.0%}, over {drawn[0].resamples} resamples of the workload"
        f", in {result.drawing_s:.1f} s"
        + judged
        + (f"; {rest} plans have none, for want of time" if rest else "")
    )


def _summary(result: Result, out: Path) -> dict[str, Any]:
    from boute.report.thinning import largest_errors

    view = result.view
    return {
        "out": str(out),
        "sampler": view.sampler,
        "seed": view.seed,
        "evaluations": view.evaluations,
        "hypervolume": view.progress[-1].hypervolume,
        "started_from": _started_from(result.start),
        "certificate": asdict(result.certificate),
        "seconds": round(result.seconds, 3),
        "thinning": largest_errors(result.plans),
        "interval_seconds": round(result.drawing_s, 3),
        "plans": [
            {
                "name": plan.name,
                "file": str(out / "plans" / f"{plan.name}.yaml"),
                "objectives": plan.objectives,
                "robustness": robustness.model_dump(mode="json")
                if (robustness := plan.predicted.robustness)
                else None,
                "verdict": plan.predicted.verdict,
            }
            for plan in result.plans
        ],
    }


def _started_from(start: Start | None) -> dict[str, Any] | None:
    if start is None or not start.source:
        return None
    return {
        "file": start.source,
        "plans": start.plans,
        "carried": start.carried,
        "with_every_replica": start.whole,
        "tried_first": len(start.first),
    }
