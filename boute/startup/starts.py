"""Logs of starts with, beside each, what was started: the input of a fit.

Next to `NAME.log` lies `NAME.yaml`. What the log tells of itself (eager or not, captured batch
sizes) need not be repeated there, and a model card stands for the sizes that follow from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from boute.documents import Document, load_document
from boute.errors import DataError
from boute.profiles.catalog import load_model
from boute.startup.cards import ModelSizes, sizes_of
from boute.startup.fit import MeasuredStart
from boute.startup.model import Features, Modelled
from boute.startup.parse import parse_file
from boute.startup.steps import STEPS, Cache, Startup

__all__ = ["Started", "read_start", "read_starts", "start_files"]


class Started(Document):
    """NAME.yaml: one start, as whoever started it knows it.

    `model` names what is started: starts of one model are left out of a check together. `device`
    is what it ran on, in words. Its sizes are told by `card`, a name or a path relative to the
    file, or by `sizes`.
    """

    model: str
    device: str
    cache: Cache
    card: str | None = None
    weights: Literal["bf16", "fp8", "int4"] = "bf16"
    tensor_parallel: Annotated[int, Field(ge=1)] = 1
    pipeline_parallel: Annotated[int, Field(ge=1)] = 1
    sizes: ModelSizes | None = None
    captured_sizes: Annotated[int, Field(ge=0)] | None = None
    eager: bool | None = None

    @model_validator(mode="after")
    def _has_sizes(self) -> Started:
        if (self.card is None) == (self.sizes is None):
            raise ValueError("one of card and sizes should be given")
        return self


def start_files(paths: Sequence[Path]) -> list[Path]:
    """Logs among files and folders, in order of name; raise DataError when there is none."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.log")) if path.is_dir() else [path]
    if not found:
        names = ", ".join(map(str, paths))
        raise DataError("holds no .log file", where=names, mend="give logs of starts")
    return found


def read_starts(paths: Sequence[Path]) -> list[MeasuredStart]:
    """All starts of files and folders; raise DataError unless they are of one device and engine."""
    starts = [read_start(log) for log in start_files(paths)]
    for start in starts:
        for field in ("device", "engine"):
            mine, first = getattr(start, field), getattr(starts[0], field)
            if mine != first:
                raise DataError(
                    f"is of {mine}, and {starts[0].name} is of {first}",
                    where=start.name,
                    mend=f"fit each {field} of its own",
                )
    return starts


def read_start(log: Path) -> MeasuredStart:
    """A log and what was started; raise DataError where either is missing or not enough."""
    beside = log.with_suffix(".yaml")
    if not beside.exists():
        raise DataError(
            "is missing: nothing says what was started",
            where=str(beside),
            mend="write model, device, cache and card there",
        )
    started = load_document(beside, Started, error=DataError)
    startup = parse_file(log)
    if not startup.total_s:
        mend = "; ".join(startup.notes) or "give the log from the first line on"
        raise DataError("does not show a whole start", where=str(log), mend=mend)
    steps: dict[Modelled, float] = {
        step: seconds for step in STEPS if (seconds := startup.steps[step]) is not None
    }
    steps["other"] = startup.unexplained_s or 0.0
    return MeasuredStart(
        name=log.stem,
        model=started.model,
        device=started.device,
        engine=f"vLLM {startup.version or 'of unknown version'}",
        features=_features(started, startup, beside),
        steps=steps,
        total_s=startup.total_s,
    )


def _features(started: Started, startup: Startup, beside: Path) -> Features:
    sizes = started.sizes
    if sizes is None:
        card = load_model(started.card or "", beside.parent)
        sizes = sizes_of(
            card,
            tp=started.tensor_parallel,
            pp=started.pipeline_parallel,
            weights=started.weights,
        )
    captured = started.captured_sizes
    eager = started.eager
    return Features(
        **sizes.model_dump(),
        captured_sizes=(startup.captured_sizes or 0) if captured is None else captured,
        gpus=started.tensor_parallel * started.pipeline_parallel,
        cache=started.cache,
        eager=bool(startup.eager) if eager is None else eager,
    )
