"""`boute bench URL`: replay a trace against a server, and print measured next to predicted."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boute.cli.api_key import api_key

if TYPE_CHECKING:
    from boute.bench.compare import Comparison
    from boute.bench.record import Record
    from boute.bench.replay import Client
    from boute.bench.requests import Load, Shape
    from boute.bench.results import Measured
    from boute.context import Context
    from boute.outcome import Outcome
    from boute.plan.model import Plan
    from boute.spec.workload import WorkloadSource

__all__ = ["bench"]


class Endpoint(StrEnum):
    """Where a row without a body of its own is sent."""

    chat = "chat"
    completions = "completions"


class CheckName(StrEnum):
    """When an answer is right, by the names of boute.bench.checks."""

    exact = "exact"
    contains = "contains"
    last_word = "last-word"


Url = Annotated[str, typer.Argument(metavar="URL", help="The server, with or without /v1.")]
Trace = Annotated[str | None, typer.Option(help="A file or a preset; default: the plan's.")]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="Compare with its prediction.")]
RateScale = Annotated[float, typer.Option(min=1e-6, help="Times as many requests a second.")]
Duration = Annotated[float | None, typer.Option(help="Seconds of the trace, before scaling.")]
MaxRequests = Annotated[int | None, typer.Option(help="At most so many requests.")]
ModelName = Annotated[str | None, typer.Option(help="Default: boute, or the first served.")]
Where = Annotated[Endpoint, typer.Option(help="Where rows without a body are sent.")]
Stream = Annotated[bool, typer.Option("--stream/--no-stream", help="Stream the answers.")]
MaxTokens = Annotated[
    int | None, typer.Option(min=1, help="Cut answers to texts; default: as the trace says.")
]
Check = Annotated[CheckName | None, typer.Option(help="Compare with the column answer.")]
Goodput = Annotated[
    list[str] | None, typer.Option(metavar="NAME:MS", help="ttft, tpot, e2el; may be repeated.")
]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds for one request.")]
Concurrency = Annotated[int | None, typer.Option(min=1, help="Hold requests above it.")]
Warmup = Annotated[int, typer.Option(min=0, help="Requests sent before, not counted.")]
Seed = Annotated[int | None, typer.Option(help="Of all that is drawn; default: the plan's or 0.")]
KeyVariable = Annotated[str | None, typer.Option(help="Variable that holds the key.")]
Out = Annotated[Path | None, typer.Option(help="Write a row a request, JSON Lines.")]
Detailed = Annotated[bool, typer.Option(help="With --json: lists with an entry a request.")]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


def bench(
    url: Url,
    trace: Trace = None,
    plan: PlanFile = None,
    rate_scale: RateScale = 1.0,
    duration: Duration = None,
    max_requests: MaxRequests = None,
    model: ModelName = None,
    endpoint: Where = Endpoint.chat,
    stream: Stream = True,
    max_tokens: MaxTokens = None,
    check: Check = None,
    goodput: Goodput = None,
    timeout: Timeout = 600.0,
    max_concurrency: Concurrency = None,
    warmup: Warmup = 0,
    seed: Seed = None,
    api_key_env: KeyVariable = None,
    out: Out = None,
    detailed: Detailed = False,
    as_json: Json = False,
) -> None:
    """Replay a trace against an OpenAI-compatible server.

    Requests are sent at the times of the trace, whether or not earlier ones are answered.
    """
    from boute.bench.record import write_records
    from boute.bench.replay import Client, server_url
    from boute.bench.requests import Shape, load_requests, with_queries
    from boute.bench.results import Measured
    from boute.cli.console import note
    from boute.errors import InputError
    from boute.plan.store import load_plan

    planned = None if plan is None else load_plan(plan)
    limits = _limits(goodput or [], planned, stream=stream)
    window = {"duration_s": duration, "max_requests": max_requests, "seed": seed}
    source = _source(trace, planned, rate_scale, window)
    client = Client(server_url(url), api_key(api_key_env), timeout, max_concurrency)
    shape = Shape(_model(model, client), endpoint.value, stream, max_tokens)
    load = load_requests(source, Path() if plan is None else plan.parent, shape)
    if check is not None and all(request.answer is None for request in load.requests):
        raise InputError("has no column answer", where=load.name, mend="leave out --check")
    predicted = None
    if planned is not None and plan is not None:
        context = _context(planned, plan, source, is_other=trace is not None)
        predicted = _predict(planned, context, load)
        if not load.has_text:
            load = with_queries(load, context.table, context.workload.row)
    records = _replay(load, client, shape, warmup=warmup, check=check)
    if out is not None:
        write_records(records, out)
        note(f"wrote {out}")
    measured = Measured(records, load.window_s, limits)
    if not measured.answered:
        problem = f"answered none of {len(records)} requests: {records[0].error}"
        raise InputError(problem, where=client.url)
    rows = _comparisons(predicted, measured)
    if as_json:
        _print_json(_setting(load, client, shape), measured, rows, detailed=detailed)
    else:
        _show(measured, rows)


def _limits(goodput: list[str], plan: Plan | None, *, stream: bool) -> dict[str, float]:
    """What a request has to meet, in seconds: the options', in vLLM's way, or the plan's."""
    from boute.errors import InputError

    limits = {} if plan is None else plan.spec.targets.request_limits()
    if goodput and plan is not None:
        raise InputError(
            "the plan has targets of its own", where="--goodput", mend="leave out one of the two"
        )
    for text in goodput:
        name, _, value = text.partition(":")
        latency = {"ttft": "ttft", "tpot": "tpot", "e2el": "e2e"}.get(name)
        try:
            limit_s = float(value) / 1e3
        except ValueError:
            limit_s = 0.0
        if latency is None or not 0 < limit_s < float("inf"):
            raise InputError(
                f"{text!r} is no limit", where="--goodput", mend="for example ttft:200, in ms"
            )
        limits[latency] = limit_s
    if not stream and limits.keys() - {"e2e"}:
        raise InputError(
            "without streams nothing is known of TTFT and TPOT, which have limits",
            where="--no-stream",
            mend="leave it out",
        )
    return limits


def _source(
    trace: str | None, plan: Plan | None, rate_scale: float, window: dict[str, float | None]
) -> WorkloadSource:
    """The trace of the options, or else the plan's, with its window, rate and seed changed."""
    from boute.documents import check_document
    from boute.errors import InputError
    from boute.spec.workload import WorkloadSource

    data: dict[str, Any]
    if trace is not None:
        seed = 0 if plan is None else plan.spec.workload.seed
        path = os.path.abspath(trace) if os.path.isfile(trace) else trace
        data = {"trace": path, "rate_scale": rate_scale, "seed": seed}
    elif plan is not None:
        data = plan.spec.workload.model_dump()
        data["rate_scale"] *= rate_scale
    else:
        raise InputError("--trace is missing", mend="give it, or --plan, which has a workload")
    data |= {name: value for name, value in window.items() if value is not None}
    return check_document(data, WorkloadSource, where="options")


def _model(name: str | None, client: Client) -> str:
    """The model that is asked for; asking the server for its list also finds out if it is there."""
    from boute.bench.replay import served_models

    served = served_models(client)
    if name is not None:
        return name
    return "boute" if not served or "boute" in served else served[0]


def _context(plan: Plan, path: Path, source: WorkloadSource, *, is_other: bool) -> Context:
    """The world of the plan with the requests that are replayed."""
    from boute.context import prepare
    from boute.world import with_workload

    spec = with_workload(plan.spec, source, is_other=is_other)
    return prepare(spec, path.parent, where=str(path))


def _predict(plan: Plan, context: Context, load: Load) -> Outcome:
    """What the plan does with them."""
    from dataclasses import replace

    import numpy as np

    from boute.evaluate import evaluate
    from boute.plan.decision import decision_of

    workload = context.workload
    if not load.has_text:
        # Whichever model answers random words, it is told to write as much as the trace says.
        tokens = np.array([request.output_tokens for request in load.requests])
        lengths = np.repeat(tokens[:, None], len(workload.models), axis=1)
        workload = replace(workload, output_tokens=lengths)
    return evaluate(decision_of(plan), workload, context)


def _replay(
    load: Load, client: Client, shape: Shape, *, warmup: int, check: CheckName | None
) -> list[Record]:
    """Replay, with a bar for a person who watches."""
    import asyncio

    from rich.console import Console
    from rich.progress import Progress

    from boute.bench.checks import CHECKS
    from boute.bench.replay import replay
    from boute.cli.console import is_terminal, note

    count = len(load.requests)
    note(
        f"{count} requests of {load.name} in {load.window_s:.1f} s "
        f"({count / load.window_s:.2f} a second) to {shape.model} at {client.url}"
    )
    judge = None if check is None else CHECKS[check.value]
    with Progress(console=Console(stderr=True), disable=not is_terminal()) as bar:
        task = bar.add_task("answered", total=count)
        return asyncio.run(
            replay(
                load.requests,
                client,
                warmup=warmup,
                check=judge,
                done=lambda _: bar.advance(task),
            )
        )


def _comparisons(predicted: Outcome | None, measured: Measured) -> list[Comparison]:
    from boute.bench.compare import compare

    return [] if predicted is None else compare(predicted, measured)


def _setting(load: Load, client: Client, shape: Shape) -> dict[str, object]:
    """What was asked, in vLLM's field names."""
    from datetime import datetime

    return {
        "date": datetime.now().strftime("%Y%m%d-%H%M%S"),
        "endpoint_type": "openai-chat" if shape.endpoint == "chat" else "openai",
        "model_id": shape.model,
        "num_prompts": len(load.requests),
        "request_rate": len(load.requests) / load.window_s,
        "max_concurrency": client.max_concurrency,
    }


def _print_json(
    setting: dict[str, object],
    measured: Measured,
    rows: list[Comparison],
    *,
    detailed: bool,
) -> None:
    from dataclasses import asdict

    from boute.bench.results import detailed_results, results
    from boute.cli.console import print_json

    data = setting | results(measured)
    if detailed:
        data |= detailed_results(measured)
    if rows:
        data["comparison"] = [asdict(row) | {"error": row.error} for row in rows]
    print_json(data)


def _show(measured: Measured, rows: list[Comparison]) -> None:
    from rich.text import Text

    from boute.bench.terminal import comparison_table, measured_tables
    from boute.cli.console import show

    for part in measured_tables(measured):
        show(part)
    if rows:
        show(Text())
        show(comparison_table(rows))
