"""`boute router calibrate`: predicted qualities that mean what they say on a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["calibrate"]

# What an expected calibration error should be at most.
BAR = 0.05


def calibrate(
    router: Annotated[Path, typer.Argument(metavar="ROUTER", help="A router's folder.")],
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Rows that it was not fitted on.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the calibrated router, if another.")
    ] = None,
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
    found = run(loaded, read_training_table(table, models=loaded.models).table)
    folder = out or router
    sha256 = found.router.save(folder)
    lines = zip(loaded.models, found.before, found.after, found.router.calibration, strict=True)
    data = [
        {
            "model": model,
            "ece_before": before.ece,
            "ece_after": after.ece,
            "ece_by_chance": after.ece_by_chance,
            "brier_before": before.brier,
            "brier_after": after.brier,
            "slope": float(line[0]),
            "level": float(line[1]),
        }
        for model, before, after, line in lines
    ]
    if as_json:
        print_json(
            {"rows": found.rows, "left_out": found.left_out, "router": sha256, "models": data}
        )
    else:
        print(f"{found.rows} rows; after is cross-fitted")
        for each in data:
            mark = "" if each["ece_after"] <= BAR else f"  over {BAR}"
            print(
                f"{each['model']}: ECE {each['ece_before']:.3f} to {each['ece_after']:.3f} "
                f"({each['ece_by_chance']:.3f} by chance), Brier {each['brier_before']:.3f} to "
                f"{each['brier_after']:.3f}{mark}"
            )
    if found.left_out:
        note(f"{found.left_out} rows were fitted on and are left out")
    note(f"wrote {folder}; plans made with {router} keep asking for the router as it was")
