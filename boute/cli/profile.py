"""`boute profile`: fit the performance model, check it, and measure the step times of an engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from boute.cli.api_key import api_key
from boute.cli.formats import KvCache, Weights
from boute.cli.profile_check import check
from boute.cli.profile_fit import fit

if TYPE_CHECKING:
    from boute.measure.run import Measurement
    from boute.performance.measured import HeldOut, MeasuredEntry, ReplicaKey

__all__ = ["app"]

# A stated error that calls for another measurement.
FAR_OFF: Final = 0.3

app = typer.Typer(help="The performance model: fit, check, measure.", add_completion=False)


Url = Annotated[str, typer.Argument(metavar="URL", help="An OpenAI endpoint, with or without /v1.")]
Model = Annotated[str, typer.Option(help="Name of the model at the endpoint.")]
Gpu = Annotated[str, typer.Option(help="The GPU card that it runs on, by name or path.")]
Card = Annotated[str, typer.Option(help="The model's card, by name or path.")]
Parallelism = Annotated[int, typer.Option(min=1, max=64, help="Of the engine.")]
Out = Annotated[Path, typer.Option(help="The file to put the entry into.")]
KeyVariable = Annotated[str | None, typer.Option(help="Variable that holds the key.")]
Concurrency = Annotated[str, typer.Option(help="Requests at a time, as in service.")]
Longest = Annotated[int | None, typer.Option(min=1, help="Tokens of the longest request tried.")]
KvTokens = Annotated[int | None, typer.Option(min=1, help="Room for KV cache, if not told.")]
Minutes = Annotated[float, typer.Option(min=0.01, max=600, help="About how long.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of prompts and lengths.")]


@app.callback()
def group() -> None:
    """The performance model: fit it on kernels, check it on runs, measure a live engine."""


@app.command("measure")
def measure(
    url: Url,
    model: Model,
    gpu: Gpu,
    card: Card,
    weights: Weights = Weights.bf16,
    kv_cache: KvCache = KvCache.bf16,
    tp: Parallelism = 1,
    pp: Parallelism = 1,
    out: Out = Path("measured.yaml"),
    api_key_env: KeyVariable = None,
    concurrency: Concurrency = "1,2,4,8,16",
    longest: Longest = None,
    kv_tokens: KvTokens = None,
    minutes: Minutes = 1.0,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the entry as JSON.")] = False,
) -> None:
    """Measure the step times of an engine through its endpoint.

    They go into a file that a spec names under `measured`, in the place of an entry of the same
    GPU type, model, formats and parallelism. One replica should answer, with the load around it
    that there will be in service.
    """
    import asyncio

    from boute.cli.console import note, print_json
    from boute.measure.run import Target
    from boute.measure.run import measure as run
    from boute.performance.measured import ReplicaKey, load_measured
    from boute.profiles.catalog import load_gpu, load_model

    # Whatever is wrong with the arguments is said before minutes are spent.
    known, device = load_model(card, Path()), load_gpu(gpu, Path())
    key = ReplicaKey(device.name, known.name, weights.value, kv_cache.value, tp, pp)
    before = load_measured(out) if out.exists() else None
    target = Target(
        url=url,
        model=model,
        vocab_size=known.vocab_size,
        stages=pp,
        api_key=api_key(api_key_env),
        longest=longest,
        kv_tokens=kv_tokens,
    )
    sizes = _sizes(concurrency)
    found = asyncio.run(run(target, concurrency=sizes, seconds=60 * minutes, seed=seed, tell=note))
    entry = _entry(key, found, ahead=device.vendor != "cpu")
    _write(out, before.entries if before else [], entry)
    if as_json:
        print_json(entry.model_dump(mode="json"))
    else:
        _show(entry)
    if entry.held_out.stated_error > FAR_OFF:
        note("the other requests were far off: was the machine busy? measure again when it is not")
    note(f"wrote {out}")


def _entry(key: ReplicaKey, found: Measurement, *, ahead: bool) -> MeasuredEntry:
    import datetime

    from boute.documents import check_document
    from boute.performance.measured import MeasuredEntry

    data = {
        **key._asdict(),
        "made_on": datetime.date.today(),
        "engine": found.engine or "not told",
        "times": found.times.model_dump(),
        "kv_tokens": found.kv_tokens,
        "held_out": _held_out(key, found, ahead=ahead).model_dump(),
        "conditions": found.conditions.model_dump(),
    }
    return check_document(data, MeasuredEntry, where="what was measured")


def _held_out(key: ReplicaKey, found: Measurement, *, ahead: bool) -> HeldOut:
    """What the simulator says of the requests that the fit has not seen.

    `ahead` is whether the engine schedules ahead, which the endpoint does not tell: vLLM's default.
    """
    from boute.measure.held_out import compare
    from boute.performance.measured import measured_costs
    from boute.performance.power import load_power
    from boute.performance.replica import Replica
    from boute.simulation.pool import simulate_pool
    from boute.spec.model import Engine

    burst, engine = found.burst, Engine()
    # Where the endpoint does not tell its room, the burst is taken to have found enough.
    room = found.kv_tokens or int((burst.input_tokens + burst.output_tokens).sum())
    replica = Replica(
        costs=measured_costs(found.times, 0.0, load_power()),
        stages=key.pipeline_parallel,
        kv_blocks=-(-room // engine.block_size),
        block_size=engine.block_size,
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        gpus=key.tensor_parallel * key.pipeline_parallel,
        idle_w=0.0,
        async_scheduling=ahead,
    )
    run = simulate_pool(
        replica, 1, burst.arrival_s, burst.input_tokens, burst.output_tokens, seed=0
    )
    around_s = found.times.request_s
    return compare(burst, run.ttft_s + around_s, run.finish_s - burst.arrival_s + around_s)


def _write(path: Path, before: list[MeasuredEntry], entry: MeasuredEntry) -> None:
    from boute.documents import dump_yaml
    from boute.files import write_text
    from boute.performance.measured import MeasuredProfile, with_entry

    profile = MeasuredProfile(entries=with_entry(before, entry))
    write_text(path, dump_yaml(profile.model_dump(mode="json")))


def _show(entry: MeasuredEntry) -> None:
    times, held_out, conditions = entry.times, entry.held_out, entry.conditions
    print(f"{entry.key}, {entry.engine}, KV cache of {entry.kv_tokens or 'unknown'} tokens")
    print(f"{conditions.requests} requests in {conditions.rounds} rounds")
    for name, seconds in (
        ("a step", times.floor_s),
        ("a token", times.token_s),
        ("a sequence", times.sequence_s),
        ("1,000 pairs of a prompt", 1e3 * times.pair_s),
        ("1,000 cached tokens", 1e3 * times.context_s),
        ("a request, once", times.request_s),
    ):
        print(f"{name:24}{1e3 * seconds:10.4f} ms")
    print(
        f"{held_out.requests} other requests at {held_out.rate_per_s:.1f}/s, "
        f"{held_out.load:.0%} of what it carries:"
    )
    for name, seconds, error in (
        ("TTFT P50", held_out.ttft_p50_s, held_out.ttft_p50_error),
        ("E2E P50", held_out.e2e_p50_s, held_out.e2e_p50_error),
        ("E2E P95", held_out.e2e_p95_s, held_out.e2e_p95_error),
    ):
        print(f"{name:24}{1e3 * seconds:10.1f} ms, predicted {error:+.1%} off")


def _sizes(text: str) -> list[int]:
    from boute.errors import InputError

    try:
        sizes = sorted({int(part) for part in text.split(",")})
    except ValueError:
        sizes = []
    if not sizes or sizes[0] < 1 or sizes[-1] > 4096:
        raise InputError(
            f"{text!r} is not a list of numbers of requests",
            where="--concurrency",
            mend="write 1,2,4,8",
        )
    return sizes


app.command("check")(check)
app.command("fit")(fit)
