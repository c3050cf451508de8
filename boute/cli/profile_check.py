"""`boute profile check`: what the performance model says of runs that were measured elsewhere."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from boute.cli.formats import KvCache, Weights

if TYPE_CHECKING:
    from boute.calibration.summary import Check, Compared

__all__ = ["check"]

SHARED: Final = Path("../shared/data/aiconfigurator/silicon_sample.csv.gz")


class Rival(StrEnum):
    """Other sources of predictions."""

    aiconfigurator = "aiconfigurator"


Data = Annotated[list[Path] | None, typer.Option(help="A file of measured runs, or several.")]
Gpu = Annotated[str | None, typer.Option(help="The GPU card, where a file does not tell it.")]
Model = Annotated[str | None, typer.Option(help="The model, where a file does not tell it.")]
Size = Annotated[int, typer.Option(min=1, max=64, help="Where a file does not tell it.")]
Against = Annotated[Rival | None, typer.Option(help="Predict the same runs with this too.")]
Out = Annotated[Path | None, typer.Option(help="An HTML report with scatter plots.")]


def check(
    data: Data = None,
    gpu: Gpu = None,
    model: Model = None,
    weights: Weights = Weights.bf16,
    kv_cache: KvCache = KvCache.bf16,
    tp: Size = 1,
    pp: Size = 1,
    against: Against = None,
    out: Out = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print errors as JSON.")] = False,
) -> None:
    """Compare predictions with measured runs.

    Files are AIConfigurator's silicon_sample (CSV), the JSON of vllm bench serve, boute bench or
    guidellm, or requests with timestamps as JSON Lines. What cannot be compared is left out with a
    reason.
    """
    from boute.calibration.read import read_runs
    from boute.calibration.runs import Given
    from boute.calibration.summary import as_json as summary
    from boute.calibration.summary import check as compare
    from boute.cli.console import note, print_json
    from boute.errors import InputError

    if not data and not SHARED.exists():
        raise InputError("there is nothing to check against", mend="name a file: --data FILE")
    given = Given(gpu, model, weights.value, kv_cache.value, tp, pp)
    loaded = read_runs(data or [SHARED], given)
    found = compare(loaded)
    beside = None
    if against is not None:
        from boute.calibration.rival import beside_aiconfigurator

        beside = beside_aiconfigurator(found)
    if as_json:
        print_json(summary(found) | ({"against": beside} if beside is not None else {}))
    else:
        _show(found)
        if beside is not None:
            _show_beside(beside)
    if out is not None:
        from boute.report.agreement import write_agreement

        write_agreement(_points(found), out)
        note(f"wrote {out}")


def _show(found: Check) -> None:
    from boute.calibration.summary import KEYS, errors_of, groups, label, worst
    from boute.cli.console import note

    rows = found.headline
    others = [row for row in found.compared if row not in rows]
    lines = {f"all of {rows[0].run.engine_name}": errors_of(rows)}
    for key in KEYS:
        lines |= {f"{key} {name}": errors for name, errors in groups(rows, key).items()}
    for engine in dict.fromkeys(row.run.engine_name for row in others):
        same = [row for row in others if row.run.engine_name == engine]
        lines[f"apart: {engine}"] = errors_of(same)
    print(_table(lines))
    print("worst rows:")
    for row in worst(rows)[:5]:
        print(f"  {label(row.run)}: {_errors(row)}")
    reasons = Counter(_kind(one.reason) for one in found.skipped)
    for reason, count in reasons.most_common():
        note(f"left out {count}: {reason}")


def _kind(reason: str) -> str:
    """A reason without the figures of its row."""
    return reason.split(":", 1)[0].split(";", 1)[0]


def _errors(row: Compared) -> str:
    parts = []
    for metric in ("tpot", "ttft"):
        error = row.error(metric)
        if error is not None:
            measured = 1e3 * float(getattr(row.run, f"{metric}_s"))
            parts.append(f"{metric.upper()} {measured:.1f} ms measured, {error:+.0%} off")
    return "; ".join(parts)


def _table(lines: dict[str, dict[str, object]]) -> str:
    head = ("TPOT MAPE", "bias", "P50", "P95", "TTFT MAPE", "bias", "P50", "P95")
    keys = [f"{m}_{k}" for m in ("tpot", "ttft") for k in ("mape", "bias", "p50", "p95")]
    width = max(len(name) for name in lines)
    rows = [f"{'':{width}}{'rows':>7}" + "".join(f"{name:>11}" for name in head)]
    for name, errors in lines.items():
        cells = "".join(
            f"{'-':>11}" if errors[key] is None else f"{errors[key]:>11.1%}" for key in keys
        )
        rows.append(f"{name:{width}}{errors['rows']:>7}{cells}")
    return "\n".join(rows)


def _show_beside(beside: dict[str, object]) -> None:
    print(f"on {beside['rows']} rows that both predict, median absolute error:")
    for metric in ("tpot", "ttft"):
        ours, theirs = (beside[f"{metric}_{name}"] for name in ("boute", "aiconfigurator"))
        print(f"  {metric.upper()}  boute {ours:.1%}, AIConfigurator {theirs:.1%}")


def _points(found: Check) -> list[tuple[str, str, float, float, str]]:
    """Of every row and metric: metric, group, measured and predicted milliseconds, its words."""
    from boute.calibration.summary import label

    return [
        (
            metric,
            f"{row.run.model.rsplit('/', 1)[-1]}, {row.run.gpu}, {row.run.engine_name}",
            1e3 * float(getattr(row.run, f"{metric}_s")),
            1e3 * float(getattr(row.predicted, f"{metric}_s")),
            label(row.run),
        )
        for row in found.compared
        for metric in ("tpot", "ttft")
        if row.error(metric) is not None
    ]
