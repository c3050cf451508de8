"""`boute models`: the model cards that plans can use: list, show, and add from a config.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boute.cli.cards import AsJson, Force, list_when_bare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boute.profiles.model import ModelCard

__all__ = ["app"]

app = typer.Typer(help="Model cards: shapes and sizes of language models.", add_completion=False)


@app.command("list")
def list_cards(as_json: AsJson = False) -> None:
    """List every model card, shipped and your own."""
    from boute.cli.console import print_json, show
    from boute.profiles.catalog import load_model, model_names

    cards = [load_model(name, Path()) for name in model_names()]
    if as_json:
        print_json([_data(card) for card in cards])
        return

    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    for title in ("params", "active", "heads/KV", "KV KiB per token", "context"):
        table.add_column(title, justify="right")
    table.add_column("Hugging Face", no_wrap=True)
    for card in sorted(cards, key=lambda card: (card.name.split("-")[0], card.parameters)):
        table.add_row(*_row(card))
    show(table)


list_when_bare(app, list_cards)


@app.command("show")
def show_card(
    name: Annotated[str, typer.Argument(help="Name of a card, or a path to one.")],
    as_json: AsJson = False,
) -> None:
    """Show one card and the sizes that follow from it."""
    from boute.cli.console import print_json, show
    from boute.profiles.catalog import load_model

    card = load_model(name, Path())
    if as_json:
        print_json(_data(card))
        return

    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=card.name, title_justify="left")
    table.add_column("field")
    table.add_column("value", overflow="fold")
    for field, value in _data(card).items():
        if field != "name" and value not in (None, 0):
            table.add_row(field, f"{value:,}" if type(value) is int else str(value))
    show(table)


@app.command("add")
def add_card(
    path: Annotated[Path, typer.Argument(metavar="CONFIG", help="A model's config.json.")],
    name: Annotated[str | None, typer.Option(help="Name of the card.")] = None,
    huggingface_id: Annotated[
        str | None, typer.Option(help="Where the weights are, as organisation/model.")
    ] = None,
    force: Force = False,
) -> None:
    """Make a card from a Hugging Face config.json and keep it in your own folder."""
    from boute.cli.console import note
    from boute.profiles.catalog import save_model_card
    from boute.profiles.huggingface import read_config
    from boute.profiles.model import model_card_from_config

    file = path / "config.json" if path.is_dir() else path
    config = read_config(file)
    card = model_card_from_config(
        config,
        name=name or _name_for(file, config, huggingface_id),
        where=str(file),
        huggingface_id=huggingface_id,
    )
    written = save_model_card(card, force=force)
    note(f"wrote {written}: {_billions(card.parameters)} parameters; use it as {card.name}")


def _name_for(file: Path, config: Mapping[str, Any], huggingface_id: str | None) -> str:
    """A name for the card: the model's on Hugging Face, or the folder's that the config is in."""
    from boute.errors import ProfileError

    known = huggingface_id or config.get("_name_or_path")
    place = file.resolve().parent.name if file.name == "config.json" else file.stem
    name = str(known or place).rstrip("/").rsplit("/", 1)[-1].lower()
    if not name:
        raise ProfileError("has no name", where=str(file), mend="give one with --name")
    return name


def _row(card: ModelCard) -> tuple[str, ...]:
    return (
        card.name,
        _billions(card.parameters),
        _billions(card.active_parameters) if card.is_moe else "",
        "MLA" if card.kv_lora_rank else f"{card.num_attention_heads}/{card.num_key_value_heads}",
        f"{card.kv_bytes_per_token(2) / 1024:.0f}",
        f"{card.max_position_embeddings:,}",
        card.huggingface_id or "",
    )


def _data(card: ModelCard) -> dict[str, Any]:
    sizes = {
        "parameters": card.parameters,
        "active_parameters": card.active_parameters,
        "kv_bytes_per_token_bf16": int(card.kv_bytes_per_token(2)),
    }
    return {**card.model_dump(mode="json"), **sizes}


def _billions(count: int) -> str:
    return f"{count / 1e9:.2f}B"
