"""What `boute gpus` and `boute models` have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

__all__ = ["AsJson", "Force", "list_when_bare"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a card that you already have.")]


def list_when_bare(app: typer.Typer, list_cards: Callable[[], None]) -> None:
    """Have the app list the cards when no verb is given."""

    @app.callback(invoke_without_command=True)
    def root(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            list_cards()
