"""`boute estimate`: what one replica does at a steady concurrency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from boute.performance.estimate import Estimate

__all__ = ["estimate"]


def estimate(
    model: Annotated[str | None, typer.Option(help="A card, a Hugging Face id, a file.")] = None,
    gpu: Annotated[str | None, typer.Option(help="A GPU card by name or path.")] = None,
    tp: Annotated[int, typer.Option(help="Tensor parallelism.")] = 1,
    pp: Annotated[int, typer.Option(help="Pipeline parallelism.")] = 1,
    input_tokens: Annotated[int | None, typer.Option(help="Mean input of a request.")] = None,
    output_tokens: Annotated[int | None, typer.Option(help="Mean output of a request.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests under way at any time.")] = None,
    weights: Annotated[str, typer.Option(help="bf16, fp8 or int4.")] = "bf16",
    kv_cache: Annotated[str, typer.Option(help="bf16 or fp8.")] = "bf16",
    csv: Annotated[
        Path | None, typer.Option(help="Cases, one a row; columns are the options' names.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict latency, throughput and KV use of one replica.

    For a steady number of requests under way; with the stated error.
    """
    given: dict[str, object] = {
        "model": model,
        "gpu": gpu,
        "tp": tp,
        "pp": pp,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "concurrency": concurrency,
        "weights": weights,
        "kv_cache": kv_cache,
    }
    if csv is not None:
        _estimate_file(csv, given, as_json=as_json)
    else:
        _estimate_one(given, as_json=as_json)


def _estimate_one(given: dict[str, object], *, as_json: bool) -> None:
    from boute.cli.console import print_json
    from boute.errors import InputError
    from boute.performance.estimate import case_from, estimate_case

    for name in ("model", "gpu", "input_tokens", "output_tokens", "concurrency"):
        if given[name] is None:
            option = name.replace("_", "-")
            raise InputError(f"--{option} is missing", mend="give it, or --csv with many cases")
    case = case_from(given, where="options")
    found = estimate_case(case, Path())
    if as_json:
        print_json({**case.model_dump(), **_figures(found), "error_source": found.error_source})
        return
    steady = found.steady
    print(
        f"{case.model} on {case.tp * case.pp} x {case.gpu}, {case.concurrency} requests at a time"
    )
    print(f"TTFT      {steady.ttft_s * 1e3:10.1f} ms   mean error {found.ttft_error:.0%}")
    print(f"TPOT      {steady.tpot_s * 1e3:10.2f} ms   mean error {found.tpot_error:.0%}")
    print(f"output    {steady.tokens_per_s:10.1f} tokens/s")
    print(f"requests  {steady.requests_per_s:10.3f} /s, {steady.running:.1f} running")
    print(f"KV use    {steady.kv_use:10.1%}")
    print(f"errors: {found.error_source}")


def _estimate_file(path: Path, options: dict[str, object], *, as_json: bool) -> None:
    from boute.cli.console import print_json

    columns, rows = _read_cases(path)
    results = [_row(row, options, f"{path}:{line}", path.parent) for line, row in rows]
    if as_json:
        print_json(results)
    else:
        _print_csv(columns, results)
    if all(result["error"] for result in results):
        raise typer.Exit(2)


def _print_csv(columns: list[str], results: list[dict[str, object]]) -> None:
    import csv as csv_module
    import sys

    fields = [*columns, *(name for name in results[0] if name not in columns)]
    writer = csv_module.DictWriter(sys.stdout, fields, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(results)


def _read_cases(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Columns and rows with their line; raise DataError when nothing in the file can be used."""
    import csv as csv_module

    from boute.errors import DataError
    from boute.files import read_text
    from boute.performance.estimate import Case

    lines = read_text(path, error=DataError).splitlines()
    try:
        reader = csv_module.DictReader(lines, skipinitialspace=True)
        columns = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        rows = [(reader.line_num, {k: v or "" for k, v in row.items() if k}) for row in reader]
    except csv_module.Error as problem:
        raise DataError(f"is not a CSV: {problem}", where=str(path)) from None
    known = set(columns) & set(Case.model_fields)
    if not known:
        raise DataError(
            "has no column of a case",
            where=f"{path}:1",
            mend=f"known columns: {', '.join(Case.model_fields)}",
        )
    if not rows:
        raise DataError("has no rows", where=str(path), mend="add a case a row")
    return columns, rows


def _row(
    row: dict[str, str], options: dict[str, object], where: str, folder: Path
) -> dict[str, object]:
    """A row with its results, or with the reason for having none in `error`."""
    from boute.errors import BouteError
    from boute.performance.estimate import case_from, estimate_case

    given = {**options, **{key: row[key] for key in options if row.get(key)}}
    figures: dict[str, object] = dict.fromkeys(FIGURES)
    reason = None
    try:
        figures = _figures(estimate_case(case_from(given, where=where), folder))
    except BouteError as problem:
        reason = str(problem)
    return {**row, **figures, "error": reason}


FIGURES = (
    "ttft_s",
    "tpot_s",
    "tokens_per_s",
    "requests_per_s",
    "running",
    "kv_use",
    "ttft_error",
    "tpot_error",
)


def _figures(found: Estimate) -> dict[str, object]:
    steady = found.steady
    return {
        "ttft_s": round(steady.ttft_s, 6),
        "tpot_s": round(steady.tpot_s, 6),
        "tokens_per_s": round(steady.tokens_per_s, 3),
        "requests_per_s": round(steady.requests_per_s, 6),
        "running": round(steady.running, 3),
        "kv_use": round(steady.kv_use, 6),
        "ttft_error": found.ttft_error,
        "tpot_error": found.tpot_error,
    }
