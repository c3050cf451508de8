"""How verbs print: results on standard output, progress and notes on standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["is_terminal", "note", "print_json", "show"]


def is_terminal() -> bool:
    """Whether a person watches standard error."""
    return sys.stderr.isatty()


def show(renderable: RenderableType) -> None:
    """Print a table or text to standard output, plain and wide when it is not a terminal."""
    _console().print(renderable)


def print_json(data: object) -> None:
    """Print data as JSON that any program can read: no NaN, keys in the order given."""
    print(json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False))


def note(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr, flush=True)


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120, soft_wrap=False, highlight=False)
