"""`boute router`: routers trained on a table of one's own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boute.cli.router_calibrate import calibrate
from boute.cli.router_drift import drift
from boute.cli.router_eval import evaluate
from boute.cli.router_explain import explain
from boute.cli.router_table import Lengths, QualityColumns, Query, Task, Texts, choices_of

if TYPE_CHECKING:
    from boute.routing.layouts import TrainingTable

__all__ = ["app", "train"]

app = typer.Typer(help="Train, explain and judge routers.", no_args_is_help=True)
app.command("explain")(explain)
app.command("eval")(evaluate)
app.command("calibrate")(calibrate)
app.command("drift")(drift)


class Kind(StrEnum):
    """Kinds of routers that can be trained."""

    lexical = "lexical"
    boosted = "boosted"
    neighbours = "neighbours"
    factorisation = "factorisation"
    embedding = "embedding"


@app.command("train")
def train(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="CSV, JSON, JSON Lines or Parquet.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    kind: Annotated[Kind, typer.Option(help="How it learns.")] = Kind.lexical,
    models: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Models, cheapest first.")
    ] = None,
    quality: QualityColumns = None,
    query: Query = None,
    task: Task = None,
    texts: Texts = None,
    lengths: Lengths = None,
    embedding: Annotated[
        Path | None, typer.Option(help="tokenizer.json and model.onnx or model.safetensors.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a router on a table of queries, with a column of quality a model.

    Knows the layouts of RouteLLM, RouterBench, ZeroEval and LLMRouter, and of battles between two
    models (model_a, model_b, winner), by their columns.
    """
    from boute.cli.console import print_json
    from boute.routing.battles import fit_battles, read_battles
    from boute.routing.layouts import read_training_table
    from boute.routing.training import Recipe, fit_router

    names = [name.strip() for name in models.split(",")] if models else []
    recipe = Recipe(kind.value, embedding, seed)
    battles = read_battles(table, models=names, query=query)
    if battles is not None:
        router = fit_battles(battles, recipe)
        rows, found = len(battles), "pairwise"
    else:
        choices = choices_of(quality, query, task, texts, lengths)
        read = read_training_table(table, models=names, choices=choices)
        _notes(read)
        router = fit_router(read.table, read.cost_order, recipe)
        rows, found = len(read.table), read.layout
    digest = router.save(out)
    if as_json:
        print_json(
            {"rows": rows, "layout": found, "kind": router.kind, "models": list(router.models)}
            | {"folder": str(out), "sha256": digest}
        )
        return
    print(f"{router.kind} router for {', '.join(router.models)}, cheapest first")
    print(f"fitted on {rows} rows of the layout of {found}, written to {out}")


def _notes(read: TrainingTable) -> None:
    """What a user should know of the table that was read."""
    from boute.cli.console import note
    from boute.routing.training import MOST_ROWS

    if read.ordered_by == "quality":
        note("the table tells no cost: models are ordered by mean quality; --models sets the order")
    if read.table.dropped:
        note(f"{read.table.dropped} rows were left out: a model has no quality there")
    if len(read.table) > MOST_ROWS:
        note(f"{MOST_ROWS} of {len(read.table)} rows are drawn to fit on; --seed draws others")
    for column, model in enumerate(read.table.models):
        values = read.table.quality[:, column]
        if values.min() == values.max():
            note(f"every answer of {model} has quality {values[0]:g}: nothing can be learnt of it")
