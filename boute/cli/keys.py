"""`boute keys`: make API keys, and hash those made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Make API keys for a served plan.", no_args_is_help=True)


@app.command()
def new(
    name: Annotated[str, typer.Option("--name", help="Whose key it is.")],
    file: Annotated[Path, typer.Option("--file", help="File of the hashes.")] = Path("keys.yaml"),
    requests_per_minute: Annotated[
        int | None, typer.Option("--requests-per-minute", min=1, help="Limit of the key.")
    ] = None,
    max_concurrency: Annotated[
        int | None, typer.Option("--max-concurrency", min=1, help="Requests at once.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="A model that the key may name; default all."),
    ] = None,
    quality: Annotated[
        float | None, typer.Option("--quality", min=0.0, max=1.0, help="Setting of its dial.")
    ] = None,
) -> None:
    """Make a key, print it once, and add its hash to a file."""
    from boute.cli.console import note
    from boute.deployments.keys import KeyEntry, add_key, hash_key, new_key
    from boute.documents import check_document

    key = new_key()
    given = {
        "name": name,
        "sha256": hash_key(key),
        "requests_per_minute": requests_per_minute,
        "max_concurrency": max_concurrency,
        "models": model or None,
        "quality": quality,
    }
    add_key(file, check_document(given, KeyEntry, where="boute keys new"))
    print(key)
    note(f"added {name} to {file}; the key is not kept and cannot be shown again")


@app.command("hash")
def hash_() -> None:
    """Read a key from standard input and print its hash for a file of keys."""
    import re
    import sys

    from boute.deployments.keys import hash_key
    from boute.errors import InputError

    text = sys.stdin.buffer.read(4096).decode("ascii", "replace").strip()
    if not re.fullmatch("[!-~]+", text):
        raise InputError("give one key of ASCII without spaces", where="standard input")
    print(hash_key(text))
