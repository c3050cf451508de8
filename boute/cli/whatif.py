"""`boute whatif PLAN|SPEC`: what another rate, price or supply would change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from boute.optimizer.whatif import Change, Row

__all__ = ["whatif"]


def whatif(
    file: Annotated[Path, typer.Argument(metavar="PLAN|SPEC", help="A plan or a boute.yaml.")],
    rate: Annotated[
        str, typer.Option("--rate", help="Another rate: 2x, or 12/s for requests a second.")
    ] = "1x",
    price: Annotated[
        list[str] | None,
        typer.Option("--price", metavar="TYPE=X", help="Another price, dollars an hour a GPU."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="TYPE", help="Take a GPU type away.")
    ] = None,
    evaluations: Annotated[
        int, typer.Option("--evaluations", min=1, help="Plans to simulate for each search.")
    ] = 32,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the search.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare before and after a change of rate, price or supply.

    Of a plan it says what it would do unchanged in the changed world, and what a new search there
    finds instead; of a spec, the best plan for it before and after.
    """
    from boute.cli.console import print_json, show
    from boute.optimizer.whatif import compare

    rows = compare(file, _change(rate, price or [], without or []), evaluations, seed)
    if as_json:
        print_json([row.as_dict() for row in rows])
        return
    show(_table(rows))


def _change(rate: str, prices: list[str], without: list[str]) -> Change:
    from boute.errors import InputError
    from boute.optimizer.whatif import Change

    number, absolute = rate.removesuffix("/s").removesuffix("x"), rate.endswith("/s")
    value = _positive(number)
    if value is None or not (absolute or rate.endswith("x")):
        raise InputError(f"{rate!r} is not a rate", where="--rate", mend="write 2x or 12/s")
    found: dict[str, float] = {}
    for item in prices:
        name, _, text = item.partition("=")
        price = _positive(text)
        if price is None:
            raise InputError(
                f"{item!r} is not a price", where="--price", mend="write TYPE=X, as in l40s=0.79"
            )
        found[name] = price
    return Change(
        rate_scale=None if absolute else value,
        rate_per_s=value if absolute else None,
        prices=found,
        without=tuple(without),
    )


def _positive(text: str) -> float | None:
    import math

    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0.0 else None


def _table(rows: list[Row]) -> Table:
    from rich.table import Table

    from boute.plan.words import metric_short, metric_text

    metrics = list(dict.fromkeys(name for row in rows for name in row.objectives))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for metric in metrics:
        table.add_column(metric_short(metric), justify="right")
    table.add_column("GPUs")
    table.add_column("verdict")
    for row in rows:
        values = [
            metric_text(metric, row.objectives[metric]) if metric in row.objectives else "-"
            for metric in metrics
        ]
        gpus = ", ".join(f"{count} {name}" for name, count in sorted(row.gpus.items()))
        table.add_row(row.label, *values, gpus or "-", row.verdict)
    return table
