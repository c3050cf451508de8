"""`boute init DIR`: write a commented boute.yaml to start from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["init"]


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to start in.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite a boute.yaml there.")] = False,
) -> None:
    """Write a commented boute.yaml, and its JSON Schema for editors."""
    import json

    from boute.cli.console import note
    from boute.errors import InputError
    from boute.files import make_folder, write_text
    from boute.spec import Spec

    path = folder / "boute.yaml"
    if path.exists() and not force:
        raise InputError("is there already", where=str(path), mend="use --force to overwrite it")
    make_folder(folder)
    template = resources.files("boute.spec").joinpath("template.yaml").read_text("utf-8")
    schema = json.dumps(Spec.model_json_schema(), indent=2) + "\n"
    write_text(folder / "boute.schema.json", schema)
    write_text(path, template)
    note(f"wrote {path}; next: boute optimize {path}")
