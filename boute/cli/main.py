"""The `boute` command: its verbs, and the one path by which it exits.

Exit codes: 0 done, 2 wrong input, 3 nothing feasible, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final, NoReturn, cast

import typer

import boute
from boute.cli import (
    check,
    compare,
    gpus,
    init,
    keys,
    models,
    optimize,
    plan,
    profile,
    router,
    serve,
    simulate,
    startup,
    whatif,
)
from boute.cli.bench import bench
from boute.cli.emit import emit
from boute.cli.estimate import estimate
from boute.errors import BouteError, InputError, OutputError

__all__ = ["app", "main", "run"]

app = typer.Typer(
    name="boute",
    help="Plan and run a fleet of language models on mixed GPUs.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("init")(init.init)
app.command("check")(check.check)
app.command("optimize")(optimize.optimize)
app.command("compare")(compare.compare)
app.command("simulate")(simulate.simulate)
app.command("estimate")(estimate)
app.command("whatif")(whatif.whatif)
app.command("serve")(serve.serve)
app.command("apply")(serve.apply)
app.command("bench")(bench)
app.command("emit")(emit)
app.add_typer(plan.app, name="plan")
app.add_typer(profile.app, name="profile")
app.add_typer(router.app, name="router")
app.add_typer(startup.app, name="startup")
app.add_typer(keys.app, name="keys")
app.add_typer(gpus.app, name="gpus")
app.add_typer(models.app, name="models")

# What typer raises for options that it does not understand. It has no public name of its own.
_UsageError: Final = cast("type[Exception]", typer.BadParameter.__base__)


def _version(asked: bool) -> None:
    if asked:
        print(f"boute {boute.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options that every verb shares."""
    if debug:
        os.environ["BOUTE_DEBUG"] = "1"


def run() -> NoReturn:
    """Run the command and exit."""
    # Small matrices lose more to a BLAS thread pool than they gain; a user's own setting stays.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run a verb and return the exit code: one line on standard error for whatever goes wrong."""
    try:
        return _invoke(list(arguments) or ["--help"])
    except BouteError as error:
        if os.environ.get("BOUTE_DEBUG"):
            raise
        return _fail(error, error.exit_code)
    except KeyboardInterrupt as stop:
        return _fail(f"interrupted; {stop}" if str(stop) else "interrupted", 130)
    except (BrokenPipeError, SystemExit):  # rich turns the first into the second
        # Whoever read the output has seen enough, as in `boute gpus | head`.
        _drop_output()
        return 0
    except OSError as error:
        # Files are read and written with errors that name them: this is the output or the system.
        if os.environ.get("BOUTE_DEBUG"):
            raise
        _drop_output()
        where = str(error.filename or "standard output")
        return _fail(OutputError(str(error.strerror or error).lower(), where=where), 2)


def _invoke(arguments: list[str]) -> int:
    """The verb's exit code. Unlike typer's own way, wrong options raise InputError."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("boute", arguments) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except _UsageError as error:
        raise _usage_error(error) from None
    finally:
        sys.stdout.flush()
    return 0


def _drop_output() -> None:
    """Keep the interpreter from writing at its exit what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage_error(error: Exception) -> InputError:
    context = getattr(error, "ctx", None)
    verb = context.command_path if context is not None else "boute"
    message = error.format_message().rstrip(".")  # type: ignore[attr-defined]
    message = message.replace(": Input should", ": should")
    # Of a group without a verb, as in `boute plan`, typer has shown the help and says no more.
    problem = message[:1].lower() + message[1:] or "a verb is missing"
    return InputError(problem, mend="" if problem.endswith("?") else f"see {verb} --help")


def _fail(message: object, code: int) -> int:
    print(f"boute: {message}", file=sys.stderr)
    return code
