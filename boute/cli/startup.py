"""`boute startup`: what a start took by its log, fits to many, and what a start will take."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from boute.cli.formats import Weights

if TYPE_CHECKING:
    from boute.profiles.gpu import GpuCard
    from boute.startup.model import Features, Prediction, StartupFit
    from boute.startup.steps import Startup

__all__ = ["app"]

OTHER: Final = "not explained"

app = typer.Typer(help="How long engines take to start.", add_completion=False)


class Cache(StrEnum):
    """Whether compiled code is there from an earlier start."""

    warm = "warm"
    cold = "cold"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def group() -> None:
    """How long engines take to start."""


@app.command("parse")
def parse(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="What vLLM wrote as it started.")],
    as_json: AsJson = False,
) -> None:
    """Say where the time of a start went, by its log."""
    from boute.cli.console import note, print_json
    from boute.startup.parse import parse_file

    startup = parse_file(log)
    if as_json:
        print_json(_startup_data(startup))
        return
    _show_startup(startup)
    for sentence in startup.notes:
        note(sentence)


@app.command("fit")
def fit(
    paths: Annotated[
        list[Path], typer.Argument(metavar="LOG...", help="Logs of starts, or folders of them.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write the fit into.")],
    source: Annotated[str, typer.Option(help="Where the starts were measured, in words.")] = "",
    as_json: AsJson = False,
) -> None:
    """Fit a linear model of each step to starts that were measured.

    Beside each NAME.log lies a NAME.yaml that says what was started.
    """
    from boute.cli.console import note, print_json
    from boute.documents import dump_yaml
    from boute.files import write_text
    from boute.startup.fit import fit_starts
    from boute.startup.starts import read_starts

    found = fit_starts(read_starts(paths), source=source or "measured with boute startup fit")
    data = found.model_dump(mode="json", exclude_none=True)
    write_text(out, dump_yaml(data))
    if as_json:
        print_json(data)
    else:
        _show_fit(found)
    note(f"wrote {out}")


@app.command("predict")
def predict(
    model: Annotated[str, typer.Option(help="A model card by name or path.")],
    gpu: Annotated[str, typer.Option(help="A GPU card by name or path.")],
    cache: Annotated[Cache, typer.Option(help="Is compiled code there?")] = Cache.warm,
    weights: Weights = Weights.bf16,
    tp: Annotated[int, typer.Option(min=1, max=64, help="Tensor parallelism.")] = 1,
    pp: Annotated[int, typer.Option(min=1, max=64, help="Pipeline parallelism.")] = 1,
    max_num_seqs: Annotated[int, typer.Option(min=1, help="Sequences in a step.")] = 256,
    tokenizer_mb: Annotated[
        float | None, typer.Option(min=0, help="Size of tokenizer.json; else by the vocabulary.")
    ] = None,
    eager: Annotated[bool, typer.Option("--eager", help="Without compiling and graphs.")] = False,
    fit_file: Annotated[
        Path | None, typer.Option("--fit", help="A file of boute startup fit to go by.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict how long a replica takes from the command until it answers."""
    from boute.cli.console import print_json
    from boute.documents import check_document
    from boute.profiles.catalog import load_gpu, load_model
    from boute.startup.cards import captured_sizes, sizes_of
    from boute.startup.model import Features
    from boute.startup.model import predict as run

    card, device = load_model(model, Path()), load_gpu(gpu, Path())
    known = _fit_for(device, fit_file)
    sizes = sizes_of(card, tp=tp, pp=pp, weights=weights.value).model_dump()
    if tokenizer_mb is not None:
        sizes["tokenizer_bytes"] = 1e6 * tokenizer_mb
    graphs = not eager and device.vendor != "cpu"
    how = {
        "captured_sizes": captured_sizes(max_num_seqs) if graphs else 0,
        "gpus": tp * pp,
        "cache": cache.value,
        "eager": eager,
    }
    start = check_document(sizes | how, Features, where="options")
    found = run(known, start)
    if as_json:
        print_json(_prediction_data(found, start, known))
    else:
        print(f"{card.name} on {tp * pp} x {device.name}, {cache.value} cache, {known.engine}")
        _show_prediction(found, known)


def _fit_for(gpu: GpuCard, file: Path | None) -> StartupFit:
    """The fit of a file, or the shipped one; raise InputError where there is neither."""
    from boute.errors import InputError
    from boute.startup.model import load_fit
    from boute.startup.shipped import shipped_fit

    if file is not None:
        return load_fit(file)
    shipped = shipped_fit(gpu)
    if shipped is None:
        raise InputError(
            f"nothing is known of starts on {gpu.name}",
            where="--gpu",
            mend="measure some, and give --fit a file of boute startup fit",
        )
    return shipped


def _startup_data(startup: Startup) -> dict[str, Any]:
    from dataclasses import asdict

    data = asdict(startup)
    return {
        "ready_s": data.pop("total_s"),
        "steps_s": data.pop("steps"),
        "unexplained_s": startup.unexplained_s,
        **data,
    }


def _show_startup(startup: Startup) -> None:
    from boute.startup.steps import STEP_LABELS

    names = [startup.model or "a model", f"vLLM {startup.version or 'of unknown version'}"]
    if startup.eager:
        names.append("eager")
    if startup.cache:
        names.append(f"{startup.cache} cache")
    if startup.workers > 1:
        names.append(f"{startup.workers} workers")
    print(", ".join(names))
    whole = startup.total_s
    for step, seconds in startup.steps.items():
        print(_row(STEP_LABELS[step], seconds, whole))
    print(_row(OTHER, startup.unexplained_s, whole))
    print(_row("ready after", whole, None))


def _row(name: str, seconds: float | None, whole: float | None) -> str:
    if seconds is None:
        return f"{name:24}{'not told':>12}"
    share = f"{seconds / whole:7.0%}" if whole else ""
    return f"{name:24}{seconds:10.2f} s{share}"


def _show_fit(fit: StartupFit) -> None:
    print(f"{fit.starts} starts of {fit.models} models, {fit.engine}, {fit.device}")
    for name, step in fit.steps.items():
        terms = ", ".join(f"{seconds:.4g} s x {term}" for term, seconds in step.terms.items())
        left = "" if step.residual_s is None else f"   residual {step.residual_s:.2f} s"
        print(f"{name:12}{terms or '0 s'}{left}")
    if fit.left_out is not None:
        print(
            f"leave-one-out: mean error {fit.left_out.mean_error:.1%}, worst "
            f"{fit.left_out.worst_error:.1%} ({fit.left_out.worst_start})"
        )


def _show_prediction(found: Prediction, fit: StartupFit) -> None:
    from boute.startup.steps import STEP_LABELS

    for step, seconds in found.steps.items():
        label = OTHER if step == "other" else STEP_LABELS[step]
        print(_row(label, seconds, found.ready_s))
    print(f"{'ready after':24}{found.ready_s:10.2f} s   mean error {found.error:.0%}")
    print(f"measured on {fit.device}; error: {found.error_source}")


def _prediction_data(found: Prediction, start: Features, fit: StartupFit) -> dict[str, Any]:
    return {
        "ready_s": found.ready_s,
        "steps_s": found.steps,
        "error": found.error,
        "error_source": found.error_source,
        "device": fit.device,
        "engine": fit.engine,
        "source": fit.source,
        "start": start.model_dump(mode="json"),
    }
