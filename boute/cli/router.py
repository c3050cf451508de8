"""`boute router`: train, judge, calibrate and watch what decides which model answers."""

from __future__ import annotations

import typer

from boute.cli.router_calibrate import calibrate
from boute.cli.router_drift import drift
from boute.cli.router_eval import evaluate

__all__ = ["app"]

app = typer.Typer(help="What decides which model answers a query.", add_completion=False)


@app.callback()
def group() -> None:
    """What decides which model answers a query."""


app.command("eval")(evaluate)
app.command("calibrate")(calibrate)
app.command("drift")(drift)
