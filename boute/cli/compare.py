"""`boute compare SPEC`: samplers side by side, by evaluations and by the clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from boute.optimizer.rivalry import Run

__all__ = ["compare"]


def compare(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A boute.yaml.")],
    samplers: Annotated[
        str, typer.Option("--samplers", help="Names with commas between them.")
    ] = "mobo,nsga2,sobol,bilevel,sequential,single-model,single-gpu",
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("out"),
    evaluations: Annotated[
        int, typer.Option("--evaluations", min=1, help="Plans to simulate in each search.")
    ] = 64,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", min=0.1, help="Seconds of each search.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=100, help="Searches of each.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Search with several samplers and compare the hypervolume that each reaches.

    Writes compare.json, with every curve, and compare.png: hypervolume against evaluations and
    against seconds.
    """
    import json

    from boute.cli.console import note, print_json, show
    from boute.files import make_folder, write_text
    from boute.optimizer.rivalry import compare_samplers, summary
    from boute.report.rivalry_png import write_rivalry_png

    def tell(run: Run) -> None:
        note(
            f"{run.sampler}, seed {run.seed}: hypervolume {run.hypervolume:.4f} from "
            f"{len(run.curve.hypervolume)} evaluations in {run.seconds:.1f} s"
        )

    names = [name.strip() for name in samplers.split(",")]
    runs = compare_samplers(
        spec,
        list(dict.fromkeys(names)),
        evaluations=evaluations,
        seeds=seeds,
        time_limit_s=time_limit,
        on_run=tell,
    )
    found = summary(runs)
    folder = make_folder(out)
    write_text(folder / "compare.json", json.dumps(found, indent=2))
    write_rivalry_png(spec.resolve().parent.name, [run.curve for run in runs], out / "compare.png")
    if as_json:
        print_json(found)
        return
    show(_table(found))
    note(f"curves: {out / 'compare.png'}, {out / 'compare.json'}")


def _table(found: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("Sampler", "Hypervolume", "Least", "Most", "Evaluations", "Seconds"):
        table.add_column(name, justify="left" if name == "Sampler" else "right")
    for row in sorted(found, key=lambda row: -row["hypervolume"]["median"]):
        volume = row["hypervolume"]
        table.add_row(
            row["sampler"],
            *(f"{volume[key]:.4f}" for key in ("median", "least", "most")),
            f"{row['evaluations']:g}",
            f"{row['seconds']:.1f}",
        )
    return table
