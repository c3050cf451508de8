"""The `boute` command: its verbs, and the one path by which it exits.

Exit codes: 0 done, 2 wrong input, 3 nothing feasible, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

import boute
from boute.cli import check, gpus, init, models, optimize, plan, simulate, whatif
from boute.cli import estimate as estimate_verb
from boute.errors import BouteError

__all__ = ["app", "run"]

app = typer.Typer(
    name="boute",
    help="Plan and run a fleet of language models on mixed GPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("init")(init.init)
app.command("check")(check.check)
app.command("optimize")(optimize.optimize)
app.command("simulate")(simulate.simulate)
app.command("estimate")(estimate_verb.estimate)
app.command("whatif")(whatif.whatif)
app.add_typer(plan.app, name="plan")
app.add_typer(gpus.app, name="gpus")
app.add_typer(models.app, name="models")


def _version(asked: bool) -> None:
    if asked:
        print(f"boute {boute.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Options that every verb shares."""
    if debug:
        os.environ["BOUTE_DEBUG"] = "1"


def run() -> NoReturn:
    """Run the command and exit: one line on standard error for whatever goes wrong."""
    # Small matrices lose more to a BLAS thread pool than they gain; a user's own setting stays.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(_outcome())


def _outcome() -> int | str | None:
    try:
        app(standalone_mode=True)
    except SystemExit as done:
        return done.code
    except BouteError as error:
        if os.environ.get("BOUTE_DEBUG"):
            raise
        print(f"boute: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("boute: interrupted; a study goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough, as in `boute gpus | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0
