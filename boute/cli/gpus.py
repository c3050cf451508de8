"""`boute gpus`: the GPU cards that plans can use: list, show, add, and renewed prices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boute.cli.cards import AsJson, Force, list_when_bare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from boute.profiles.gpu import GpuCard

__all__ = ["app"]

app = typer.Typer(help="GPU cards: memory, rates, links, power and prices.", add_completion=False)


@app.command("list")
def list_cards(as_json: AsJson = False) -> None:
    """List every GPU card, shipped and your own."""
    from boute.cli.console import print_json, show
    from boute.profiles.catalog import gpu_names, load_gpu

    cards = [load_gpu(name, Path()) for name in gpu_names()]
    if as_json:
        print_json([card.model_dump(mode="json") for card in cards])
        return

    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("GPU", no_wrap=True)
    for title in ("GiB", "GB/s", "bf16 TFLOP/s", "fp8 TFLOP/s", "GPUs per node"):
        table.add_column(title, justify="right")
    table.add_column("links", no_wrap=True)
    for title in ("link GB/s", "$/h", "spot $/h", "read on"):
        table.add_column(title, justify="right", no_wrap=title == "read on")
    for card in cards:
        table.add_row(*_row(card))
    show(table)


list_when_bare(app, list_cards)


@app.command("show")
def show_card(
    name: Annotated[str, typer.Argument(help="Name of a card, or a path to one.")],
    as_json: AsJson = False,
) -> None:
    """Show one card, each figure with its source."""
    from boute.cli.console import print_json, show
    from boute.profiles.catalog import load_gpu

    card = load_gpu(name, Path())
    if as_json:
        print_json(card.model_dump(mode="json"))
        return

    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=card.name, title_justify="left")
    for title in ("field", "value", "source"):
        table.add_column(title, overflow="fold")
    prices = {
        "price.on_demand_per_hour": f"{card.price.source} ({card.price.read_on})",
        "price.spot_per_hour": card.price.spot_source or "",
    }
    hidden = ("name", "sources", "price.source", "price.spot_source", "price.read_on")
    for field, value in _leaves(card.model_dump(exclude_none=True)):
        if not field.startswith(hidden):
            table.add_row(field, str(value), {**card.sources, **prices}.get(field, ""))
    show(table)


@app.command("add")
def add_card(
    path: Annotated[Path, typer.Argument(metavar="CARD.yaml", help="A GPU card.")],
    force: Force = False,
) -> None:
    """Check a card and copy it into your own folder, where every spec finds it by name."""
    from boute.cli.console import note
    from boute.documents import load_document
    from boute.errors import ProfileError
    from boute.profiles.catalog import save_gpu_card
    from boute.profiles.gpu import GpuCard

    card = load_document(path, GpuCard, error=ProfileError)
    note(f"wrote {save_gpu_card(card, force=force)}; use it as {card.name}")


@app.command("prices")
def renew_prices(
    path: Annotated[Path, typer.Argument(metavar="CSV", help="A SkyPilot catalog, vms.csv.")],
    region: Annotated[str | None, typer.Option(help="Only this region.")] = None,
    provider: Annotated[str, typer.Option(help="Whose prices they are.")] = "",
) -> None:
    """Take the lowest prices of a SkyPilot catalog into your own copies of the cards."""
    import datetime

    from boute.cli.console import note
    from boute.profiles.catalog import gpu_names, load_gpu, save_gpu_card
    from boute.profiles.prices import read_prices, with_offer

    offers = read_prices(path, region=region)
    today = datetime.date.today()
    for name in gpu_names():
        if name in offers:
            card = load_gpu(name, Path())
            source = " ".join(part for part in (provider, path.name, region or "") if part)
            save_gpu_card(with_offer(card, offers[name], source=source, today=today), force=True)
            note(f"{name}: {offers[name].on_demand_per_hour:g} $/h")


def _row(card: GpuCard) -> tuple[str, ...]:
    spot = card.price.spot_per_hour
    return (
        card.name,
        f"{card.memory_gib:g}",
        f"{card.bandwidth_gb_s:g}",
        f"{card.bf16_tflops:g}",
        "-" if card.fp8_tflops is None else f"{card.fp8_tflops:g}",
        str(card.node_gpus),
        card.interconnect.topology,
        f"{card.interconnect.bandwidth_gb_s:g}",
        f"{card.price.on_demand_per_hour:.2f}",
        "-" if spot is None else f"{spot:.2f}",
        card.price.read_on.isoformat(),
    )


def _leaves(data: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
