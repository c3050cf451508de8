"""`boute router eval`: what a router is worth on a table, with intervals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from boute.cli.router_table import Lengths, QualityColumns, Query, Task, Texts, choices_of

if TYPE_CHECKING:
    from rich.table import Table

    from boute.routing.evaluation.bootstrap import Estimate
    from boute.routing.evaluation.evaluate import Evaluation, TaskLine
    from boute.routing.evaluation.family import FamilyResult
    from boute.routing.evaluation.pairs import PairResult

__all__ = ["evaluate", "prices_of"]

# Of the curve that is printed; JSON has them all.
_MOST_POINTS: Final = 10


def evaluate(
    router: Annotated[Path, typer.Argument(metavar="ROUTER", help="A router's folder.")],
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A quality table.")],
    by: Annotated[Literal["task"] | None, typer.Option(help="Each task alone, too.")] = None,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="Leave out rows that the router was fitted on.")
    ] = False,
    price: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=USD", help="US dollars for a million output tokens."),
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Of the bootstrap.")] = 1000,
    quality: QualityColumns = None,
    query: Query = None,
    task: Task = None,
    texts: Texts = None,
    lengths: Lengths = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how well a router routes on a table, beside chance and beside knowing all.

    Intervals are of 95%, by bootstrap over tasks or over groups of texts that are nearly the same.
    """
    import numpy as np

    from boute.cli.console import note, print_json
    from boute.errors import DataError
    from boute.routing.evaluation.evaluate import by_task
    from boute.routing.evaluation.evaluate import evaluate as run
    from boute.routing.evaluation.judged import judge
    from boute.routing.layouts import read_training_table
    from boute.routing.router import Router

    loaded = Router.load(router)
    choices = choices_of(quality, query, task, texts, lengths)
    rows = read_training_table(table, models=loaded.models, choices=choices).table
    judged = judge(loaded, rows, prices_of(price or []))
    if unseen:
        judged = judged.take(np.flatnonzero(~judged.seen))
    if not len(judged):
        raise DataError(
            "has no row that the router was not fitted on",
            where=str(table),
            mend="hold some out, or name another table",
        )
    if by == "task" and judged.task is None:
        raise DataError(
            "has no column of tasks", where=str(table), mend="name one task, subject or eval_name"
        )
    found = run(judged, resamples=resamples)
    tasks = by_task(judged) if by == "task" else []
    if as_json:
        print_json(_plain({**_fields(found), "tasks": [_fields(line) for line in tasks]}))
        return
    _print(found, tasks)
    if found.trained_on:
        note(
            f"{found.trained_on} of {found.rows} rows were fitted on, which flatters every figure; "
            "--unseen leaves them out"
        )


def prices_of(options: list[str]) -> dict[str, float]:
    """Prices by model of options such as small=0.2; raise InputError for any other form."""
    from boute.errors import InputError

    prices = {}
    for option in options:
        name, _, given = option.rpartition("=")
        try:
            price = float(given)
        except ValueError:
            price = math.nan
        if not name or not 0.0 <= price < math.inf:
            raise InputError(f"{option!r} is not MODEL=USD", where="--price", mend="small=0.2, say")
        prices[name] = price
    return prices


def _fields(value: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(value)


def _plain(value: Any) -> Any:
    """Data for JSON: named tuples as objects, and null for what is not a number."""
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(found: Evaluation, tasks: list[TaskLine]) -> None:
    from boute.cli.console import show

    kind = "tasks" if found.by_task else "groups of texts"
    print(f"{found.rows} rows, {found.clusters} {kind}")
    print(", ".join(f"{m} {q:.3f}" for m, q in zip(found.models, found.quality, strict=True)))
    show(_pair_table(found))
    if found.family is not None:
        _print_family(found.family)
    show(_reliability_table(found))
    for line in found.lengths:
        print(
            f"{line.model}: {line.coverage:.1%} of answers within their interval of length "
            f"({line.intended:.0%} intended), mean predicted / seen {line.mean_ratio:.2f}"
        )
    if tasks:
        show(_task_table(tasks))


def _pair_table(found: Evaluation) -> Table:
    table = _table("Cheaper, dearer", "Quality", "APGR", "95%", "Oracle", "Of oracle's gain")
    for name in ("CPT50", "CPT80", "AIQ", "Line"):
        table.add_column(name, justify="right")
    if found.score is not None:
        table.add_row(f"{_names(found.score)}, by score", *_pair_cells(found.score), "", "")
    for line in found.pairs:
        ends = (f"{line.aiq:.3f}", f"{line.aiq_random:.3f}")
        table.add_row(_names(line.result), *_pair_cells(line.result), *ends)
    return table


def _pair_cells(pair: PairResult) -> tuple[str, ...]:
    return (
        f"{pair.weak_quality:.3f} {pair.strong_quality:.3f}",
        f"{pair.apgr.value:.3f}",
        _interval(pair.apgr),
        f"{pair.oracle:.3f}",
        f"{pair.of_oracle.value:.1%}",
        f"{pair.cpt_50.value:.1%}",
        f"{pair.cpt_80.value:.1%}",
    )


def _names(pair: PairResult) -> str:
    return f"{pair.weak}, {pair.strong}"


def _interval(value: Estimate, digits: int = 3) -> str:
    if math.isnan(value.low):
        return "not known"
    return f"{value.low:.{digits}f} to {value.high:.{digits}f}"


def _print_family(family: FamilyResult) -> None:
    print(
        f"the family: AIQ {family.aiq.value:.4f} ({_interval(family.aiq, 4)}), by chance "
        f"{family.random:.4f}, oracle {family.oracle:.4f}; gain {_interval(family.gain, 4)}, "
        f"{family.of_oracle.value:.1%} of the oracle's ({_interval(family.of_oracle)})"
    )
    step = max(1, -(-len(family.curve) // _MOST_POINTS))
    for point in family.curve[::step]:
        print(
            f"  ${point.cost:,.2f} for a million queries: quality {point.quality.value:.3f}, "
            f"{_interval(point.quality)}"
        )


def _reliability_table(found: Evaluation) -> Table:
    table = _table("Model", "ECE", "By chance", "Brier", "Predicted and seen, by tenths")
    for model, each in zip(found.models, found.reliability, strict=True):
        bins = zip(each.predicted, each.seen, strict=True)
        curve = " ".join(f"{p:.2f}/{q:.2f}" for p, q in bins)
        table.add_row(
            model, f"{each.ece:.3f}", f"{each.ece_by_chance:.3f}", f"{each.brier:.3f}", curve
        )
    return table


def _task_table(tasks: list[TaskLine]) -> Table:
    table = _table("Task", "Rows", "Quality", "APGR by score", "95%")
    for line in tasks:
        cells = (
            ("no gap", "")
            if line.score is None
            else (f"{line.score.apgr.value:.3f}", _interval(line.score.apgr))
        )
        table.add_row(line.task, str(line.rows), " ".join(f"{q:.3f}" for q in line.quality), *cells)
    return table


def _table(*names: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, name in enumerate(names):
        table.add_column(name, justify="left" if index == 0 else "right")
    return table
