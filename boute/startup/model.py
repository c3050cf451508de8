"""One linear model a step: what a start takes, from what is started.

Each step is a sum of a few terms, seconds for a unit of something that it scales with: tokens of a
tokenizer file for the tokenizer, bytes for loading, layers for compiling ("Breaking the Ice", MLSys
2026). A fit of them says where it comes from and how far off it was; `error` is of the whole.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from boute.documents import Document, load_document
from boute.errors import ProfileError
from boute.startup.steps import Cache

__all__ = [
    "MODELLED",
    "STEP_TERMS",
    "TERMS",
    "Features",
    "LeaveOneOut",
    "Modelled",
    "Prediction",
    "StartupFit",
    "StepFit",
    "Term",
    "load_fit",
    "predict",
]

Seconds = Annotated[float, Field(ge=0, le=86_400)]
# The six steps, and `other`: what none of them explains until the engine is ready.
Modelled = Literal["bootstrap", "tokenizer", "loading", "compile", "profiling", "capture", "other"]
MODELLED: Final[tuple[Modelled, ...]] = (
    "bootstrap",
    "tokenizer",
    "loading",
    "compile",
    "profiling",
    "capture",
    "other",
)
Term = Literal[
    "start",
    "cold",
    "several_gpus",
    "tokenizer_mb",
    "weights_gb",
    "parameters_b",
    "compiled",
    "compiled_b",
    "operation",
    "cold_compiled",
    "cold_operation",
    "captured",
    "captured_size",
    "captured_size_b",
]


class Features(Document):
    """What is started. Bytes, parameters and layers are those of one GPU of the replica.

    `layer_operations` counts the operations of a layer that are traced, by which compiling grows:
    ten in that of a Llama (four products with matrices, two norms, two rotary embeddings, an
    activation and its gate).
    `captured_sizes` is the number of batch sizes for which a graph is captured, 0 on CPUs and with
    `eager`, which captures and compiles nothing. `cache` is that of compiled code and of what vLLM
    finds out about a model's class.
    """

    weights_bytes: Annotated[float, Field(gt=0)]
    parameters: Annotated[float, Field(gt=0)]
    layers: Annotated[float, Field(gt=0)]
    layer_operations: Annotated[float, Field(gt=0)] = 10.0
    tokenizer_bytes: Annotated[float, Field(ge=0)]
    captured_sizes: Annotated[int, Field(ge=0)] = 0
    gpus: Annotated[int, Field(ge=1)] = 1
    cache: Cache
    eager: bool = False

    @property
    def operations(self) -> float:
        """Operations that are traced and compiled."""
        return 0.0 if self.eager else self.layers * self.layer_operations


TERMS: Final[Mapping[Term, Callable[[Features], float]]] = {
    "start": lambda _: 1.0,
    "cold": lambda start: float(start.cache == "cold"),
    "several_gpus": lambda start: float(start.gpus > 1),
    "tokenizer_mb": lambda start: start.tokenizer_bytes / 1e6,
    "weights_gb": lambda start: start.weights_bytes / 1e9,
    "parameters_b": lambda start: start.parameters / 1e9,
    "compiled": lambda start: float(not start.eager),
    "compiled_b": lambda start: start.parameters / 1e9 * (not start.eager),
    "operation": lambda start: start.operations,
    "cold_compiled": lambda start: float(start.cache == "cold" and not start.eager),
    "cold_operation": lambda start: start.operations * (start.cache == "cold"),
    "captured": lambda start: float(start.captured_sizes > 0 and not start.eager),
    "captured_size": lambda start: start.captured_sizes * (not start.eager),
    "captured_size_b": lambda start: (
        start.captured_sizes * (not start.eager) * start.parameters / 1e9
    ),
}
# The tokenizer is loaded in the midst of bootstrap and again at the end, and vLLM does not tell:
# what grows with its file there is booked as its own when a fit is done.
STEP_TERMS: Final[Mapping[Modelled, tuple[Term, ...]]] = {
    "bootstrap": ("start", "cold", "tokenizer_mb"),
    "tokenizer": ("start", "tokenizer_mb"),
    "loading": ("start", "weights_gb"),
    "compile": ("compiled", "compiled_b", "operation", "cold_compiled", "cold_operation"),
    "profiling": ("start", "parameters_b", "cold_compiled"),
    "capture": ("captured", "captured_size", "captured_size_b"),
    "other": ("start", "tokenizer_mb"),
}


class StepFit(Document):
    """Seconds of each term of a step; `residual_s` is the root mean square of what is left."""

    terms: dict[Term, Seconds]
    residual_s: Seconds | None = None

    def seconds(self, start: Features) -> float:
        """What the step takes."""
        return sum(seconds * TERMS[term](start) for term, seconds in self.terms.items())


class LeaveOneOut(Document):
    """Relative errors of the whole over all starts, each predicted without those of its model."""

    mean_error: Annotated[float, Field(ge=0)]
    worst_error: Annotated[float, Field(ge=0)]
    worst_start: str


class StartupFit(Document):
    """A fit, with what it was made of. `error` is the relative error to expect of the whole."""

    schema_version: Literal[1] = 1
    device: str
    engine: str
    made_on: datetime.date
    source: str
    starts: Annotated[int, Field(ge=1)]
    models: Annotated[int, Field(ge=1)]
    steps: dict[Modelled, StepFit]
    error: Annotated[float, Field(gt=0)]
    error_source: str
    left_out: LeaveOneOut | None = None


@dataclass(frozen=True)
class Prediction:
    """Seconds by step and until the engine is ready, give or take `error` of it."""

    steps: dict[Modelled, float]
    error: float
    error_source: str

    @property
    def ready_s(self) -> float:
        """From the command until requests are answered."""
        return sum(self.steps.values())


def predict(fit: StartupFit, start: Features) -> Prediction:
    """What a start takes by a fit."""
    steps = {step: fit.steps[step].seconds(start) for step in MODELLED if step in fit.steps}
    return Prediction(steps, fit.error, fit.error_source)


def load_fit(path: Path) -> StartupFit:
    """Read a file of `boute startup fit`; raise ProfileError naming file, line and key."""
    return load_document(path, StartupFit, error=ProfileError)
