"""`boute check SPEC`: read everything a spec names, and say what boute understands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from boute.context import Context
    from boute.optimizer.options import Option
    from boute.optimizer.problem import Problem

__all__ = ["check"]


def check(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A boute.yaml.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what is understood as JSON.")
    ] = False,
) -> None:
    """Check a spec and the files it names, and print it in full.

    Prints the spec with every default filled in, and what each model can do on each GPU type, or
    why it does not fit there.
    """
    from boute.cli.console import print_json, show
    from boute.context import located, prepare
    from boute.documents import dump_yaml
    from boute.optimizer.problem import Problem
    from boute.spec import load_spec

    loaded = load_spec(spec)
    context = prepare(loaded, spec.parent, where=str(spec))
    with located(str(spec)):
        problem = Problem(context)
    if as_json:
        print_json(
            {
                "spec": loaded.model_dump(mode="json"),
                "workload": _workload(context),
                "options": [_option(problem, option) for option in problem.table.options],
            }
        )
        return
    print(dump_yaml(loaded.model_dump(mode="json", exclude_none=True)), end="")
    workload = _workload(context)
    print(
        f"\n{workload['requests']} requests in {workload['duration_s']:.0f} s "
        f"({workload['rate_per_s']:.2f} a second), {workload['queries']} queries of known quality, "
        f"longest request {workload['max_model_len']} tokens\n"
    )
    show(_table(problem))


def _workload(context: Context) -> dict[str, Any]:
    workload = context.workload
    return {
        "requests": len(workload),
        "duration_s": workload.duration_s,
        "rate_per_s": workload.rate_per_s,
        "queries": len(context.table),
        "queries_dropped": context.table.dropped,
        "max_model_len": context.max_model_len,
        "quality": dict(
            zip(context.model_names, map(float, context.quality.mean(axis=0)), strict=True)
        ),
    }


def _option(problem: Problem, option: Option) -> dict[str, Any]:
    return {
        "model": problem.context.model_names[option.model],
        "gpu": problem.context.supplies[option.gpu].name,
        "tensor_parallel": option.tensor_parallel,
        "pipeline_parallel": option.pipeline_parallel,
        "kv_tokens": option.replica.kv_blocks * option.replica.block_size,
        "capacity_per_s": option.capacity_per_s,
        "goodput_per_s": option.goodput_per_s,
        "price_per_hour": option.price_per_hour,
    }


def _table(problem: Problem) -> Table:
    from rich.table import Table

    title = "What one replica carries within the targets"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in ("model", "GPU", "parallelism", "requests/s", "$ per 1,000 requests"):
        table.add_column(column, justify="left" if column in {"model", "GPU"} else "right")
    names = problem.context.model_names
    for model in range(len(names)):
        for gpu, supply in enumerate(problem.context.supplies):
            for option in problem.table.choices(model, gpu):
                shape = f"TP{option.tensor_parallel}"
                if option.pipeline_parallel > 1:
                    shape += f" PP{option.pipeline_parallel}"
                table.add_row(
                    names[model],
                    supply.name,
                    shape,
                    f"{option.goodput_per_s:.2f}",
                    f"{1000.0 * option.price_per_request:.3f}",
                )
            if not problem.table.choices(model, gpu):
                table.add_row(names[model], supply.name, "-", "-", problem.table.misfit(model, gpu))
    return table
