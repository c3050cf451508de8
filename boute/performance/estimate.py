"""One case of `boute estimate`: a model on a GPU type at a steady concurrency.

Names are taken as people have them: a card's name, a Hugging Face id, or a path to a card or to a
`config.json`. The engine is vLLM with the defaults that it picks for the GPU's memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from boute.documents import Document, check_document
from boute.errors import InfeasibleError, InputError, ProfileError
from boute.files import read_text
from boute.performance.build import build_replica
from boute.performance.closed_loop import Load, closed_loop
from boute.performance.coefficients import load_coefficients
from boute.performance.steady import Steady
from boute.profiles.catalog import load_gpu, load_model, model_names
from boute.profiles.gpu import GpuCard
from boute.profiles.model import ModelCard, model_card_from_config
from boute.spec.family import ModelChoice
from boute.spec.model import Engine

__all__ = ["Case", "Estimate", "case_from", "estimate_case", "find_model", "vllm_engine"]

# Beyond these a case is a slip of the pen, and stepping through it would take minutes.
MOST_TOKENS = 1_000_000
MOST_USERS = 4096
MOST_STEPPED = 100_000_000


class Case(Document):
    """What is asked. `model` and `gpu` are names or paths; tokens are means per request."""

    model: str = Field(min_length=1)
    gpu: str = Field(min_length=1)
    tp: int = Field(default=1, ge=1, le=64)
    pp: int = Field(default=1, ge=1, le=64)
    input_tokens: int = Field(ge=1, le=MOST_TOKENS)
    output_tokens: int = Field(ge=1, le=MOST_TOKENS)
    concurrency: int = Field(ge=1, le=MOST_USERS)
    weights: Literal["bf16", "fp8", "int4"] = "bf16"
    kv_cache: Literal["bf16", "fp8"] = "bf16"


@dataclass(frozen=True)
class Estimate:
    """The answer: means in the steady state, and the relative errors stated for the GPU type."""

    steady: Steady
    tpot_error: float
    ttft_error: float
    error_source: str


def case_from(given: Mapping[str, object], *, where: str) -> Case:
    """A case from options or a row of a CSV; raise InputError naming the key.

    Empty cells count as not given, and whole numbers may be written as 64.0.
    """
    filled = {key: _plain(value) for key, value in given.items() if value not in (None, "")}
    return check_document(filled, Case, where=where)


def estimate_case(
    case: Case, folder: Path, *, model: ModelCard | None = None, asynchronous: bool = True
) -> Estimate:
    """Predict one case; paths are relative to `folder`, and a `model` given stands for its name.

    `asynchronous` says whether the engine schedules a step while the one before runs.
    Raises InputError for what cannot be understood and InfeasibleError for what cannot run.
    """
    model = model or find_model(case.model, folder)
    gpu = load_gpu(case.gpu, folder)
    if case.concurrency * case.output_tokens > MOST_STEPPED:
        raise InputError(
            f"{case.concurrency} users with {case.output_tokens} tokens take too long to step "
            "through",
            mend="ask for fewer users or shorter outputs",
        )
    replica = build_replica(
        model,
        gpu,
        ModelChoice(name=model.name, weights=case.weights, kv_cache=case.kv_cache),
        vllm_engine(gpu).model_copy(update={"async_scheduling": asynchronous}),
        tensor_parallel=case.tp,
        pipeline_parallel=case.pp,
        max_model_len=case.input_tokens + case.output_tokens,
    )
    if isinstance(replica, str):
        raise InfeasibleError(f"{model.name} on {case.tp * case.pp} x {gpu.name}: {replica}")
    steady = closed_loop(replica, Load(case.input_tokens, case.output_tokens, case.concurrency))
    known = load_coefficients(gpu.name)
    return Estimate(steady, known.tpot_error, known.ttft_error, known.error_source)


def vllm_engine(gpu: GpuCard) -> Engine:
    """What vLLM's server takes by default: more tokens and sequences a step on large GPUs.

    From `EngineArgs._set_default_args` of vLLM: at least 70 GiB, A100 left out.
    """
    if gpu.memory_gib >= 70 and "a100" not in gpu.name:
        return Engine(max_num_batched_tokens=8192, max_num_seqs=1024)
    return Engine(max_num_batched_tokens=2048, max_num_seqs=256)


def find_model(name: str, folder: Path) -> ModelCard:
    """A model card by name, Hugging Face id or path; raise ProfileError."""
    path = folder / Path(name).expanduser()
    if path.suffix == ".json" or (path / "config.json").is_file():
        return _from_config(path if path.suffix == ".json" else path / "config.json")
    if "/" not in name or path.is_file():
        return load_model(name, folder)
    wanted = _bare(name)
    for known in model_names():
        card = load_model(known, folder)
        if wanted == known or (card.huggingface_id and wanted == _bare(card.huggingface_id)):
            return card
    raise ProfileError(
        f"there is no model card for {name!r}", mend="add one: boute models add path/to/config.json"
    )


def _from_config(path: Path) -> ModelCard:
    try:
        config = json.loads(read_text(path, error=ProfileError))
    except ValueError:
        raise ProfileError("is not valid JSON", where=str(path), mend="is it cut short?") from None
    return model_card_from_config(config, name="given", where=str(path))


def _bare(huggingface_id: str) -> str:
    """The id without owner and without what does not change the shape of the model."""
    bare = huggingface_id.rsplit("/", 1)[-1].lower().removeprefix("meta-")
    for ending in ("-fp8", "-instruct", "-it", "-hf"):
        bare = bare.removesuffix(ending)
    return bare


def _plain(value: object) -> object:
    """A cell of a CSV as a number where it is one."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number
