"""`boute profile fit`: the coefficients of step times from measured kernels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from boute.performance.coefficients import CoefficientTable, StepCoefficients

__all__ = ["fit"]

Folder = Annotated[Path, typer.Argument(metavar="DATA", help="The folder of measured kernels.")]
Out = Annotated[Path | None, typer.Option(help="The file to write; by default the shipped one.")]


def fit(
    data: Folder,
    out: Out = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Fit the coefficients of step times on measured kernels.

    DATA holds folders aiconfigurator, vidur, helix and llmservingsim, each in the layout of its
    repository. A GPU type without kernels takes the medians of the others. Errors that were stated
    are kept until `boute profile check` states new ones.
    """
    from boute.calibration.table import fit_all, fit_table
    from boute.cli.console import note, print_json
    from boute.documents import dump_yaml
    from boute.errors import DataError
    from boute.files import write_text
    from boute.performance.coefficients import coefficients_path, load_table

    if not data.is_dir():
        raise DataError("is no folder", where=str(data))
    fits, missing = fit_all(data)
    if not fits:
        raise DataError("holds no measured kernels", where=str(data), mend=missing[0])
    table = fit_table(fits, load_table())
    path = out or coefficients_path()
    write_text(path, dump_yaml(table.model_dump(mode="json", exclude_none=True)))
    if as_json:
        print_json(table.model_dump(mode="json"))
    else:
        _show(table)
    for line in missing:
        note(f"not fitted: {line}")
    note(f"wrote {path}")


def _show(table: CoefficientTable) -> None:
    head = ("bf16", "fp8", "memory", "attention", "KV", "layer us", "rows", "error")
    print(f"{'':14}" + "".join(f"{name:>10}" for name in head))
    for name, found in {**table.gpus, "default": table.default}.items():
        print(f"{name:14}" + "".join(f"{cell:>10}" for cell in _cells(found)))


def _cells(found: StepCoefficients) -> list[str]:
    rows = sum(one.rows for one in found.residuals.values())
    error = sum(one.rows * one.error for one in found.residuals.values()) / rows if rows else None
    return [
        f"{found.bf16.rate:.2f}",
        f"{found.fp8.rate:.2f}",
        f"{found.bf16.memory:.2f}",
        f"{found.attention:.2f}",
        f"{found.kv:.2f}",
        f"{found.layer_us:.0f}",
        f"{rows}",
        "-" if error is None else f"{error:.1%}",
    ]
