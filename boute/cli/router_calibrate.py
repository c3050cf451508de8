"""`boute router calibrate`: predicted qualities that mean what they say on a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from boute.cli.router_table import Lengths, QualityColumns, Query, Task, Texts, choices_of

if TYPE_CHECKING:
    from boute.routing.evaluation.refit import Calibrated

__all__ = ["calibrate"]

# What an expected calibration error should be at most.
BAR: Final = 0.05


def calibrate(
    router: Annotated[Path, typer.Argument(metavar="ROUTER", help="A router's folder.")],
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Rows that it was not fitted on.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the calibrated router, if another.")
    ] = None,
    quality: QualityColumns = None,
    query: Query = None,
    task: Task = None,
    texts: Texts = None,
    lengths: Lengths = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Calibrate a router's predicted qualities on rows that it was not fitted on.

    A line on the logit of each model's prediction; scores and thresholds stay as they are.
    """
    from boute.cli.console import note, print_json
    from boute.routing.evaluation.refit import calibrate as run
    from boute.routing.layouts import read_training_table
    from boute.routing.router import Router

    loaded = Router.load(router)
    choices = choices_of(quality, query, task, texts, lengths)
    found = run(loaded, read_training_table(table, models=loaded.models, choices=choices).table)
    folder = out or router
    sha256 = found.router.save(folder)
    if as_json:
        print_json(_data(found, sha256))
    else:
        _print(found)
    if found.left_out:
        note(f"{found.left_out} rows were fitted on and are left out")
    note(f"wrote {folder}; a plan holds the hash of its router, so make plans anew")


def _data(found: Calibrated, sha256: str) -> dict[str, Any]:
    router = found.router
    lines = zip(router.models, found.before, found.after, router.calibration.tolist(), strict=True)
    models = [
        {
            "model": model,
            "ece_before": before.ece,
            "ece_after": after.ece,
            "ece_by_chance": after.ece_by_chance,
            "brier_before": before.brier,
            "brier_after": after.brier,
            "slope": slope,
            "level": level,
        }
        for model, before, after, (slope, level) in lines
    ]
    return {"rows": found.rows, "left_out": found.left_out, "router": sha256, "models": models}


def _print(found: Calibrated) -> None:
    print(f"{found.rows} rows; after is cross-fitted")
    for model, before, after in zip(found.router.models, found.before, found.after, strict=True):
        over = "" if after.ece <= BAR else f", over {BAR}"
        print(
            f"{model}: ECE {before.ece:.3f} to {after.ece:.3f}{over} ({after.ece_by_chance:.3f} by "
            f"chance), Brier {before.brier:.3f} to {after.brier:.3f}"
        )
