"""The fit that is shipped for GPUs, and what it says of a replica.

It is of published measurements on one host. Most of a start is the host's work, so that it stands
for every GPU type, with an error as wide as the difference between hosts. Nothing is shipped for
CPUs: their starts have to be measured where they happen.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import boute.profiles
from boute.outcome import Ready
from boute.profiles.gpu import GpuCard
from boute.profiles.model import ModelCard
from boute.startup.cards import captured_sizes, sizes_of
from boute.startup.model import Features, StartupFit, load_fit, predict

__all__ = ["replica_ready", "shipped_fit"]


def shipped_fit(gpu: GpuCard) -> StartupFit | None:
    """The fit for a GPU type; None for a CPU."""
    return None if gpu.vendor == "cpu" else _shipped()


def replica_ready(
    model: ModelCard, gpu: GpuCard, *, tp: int, pp: int, weights: str, max_num_seqs: int
) -> Ready | None:
    """When a replica on GPUs answers, as vLLM starts by default: compiled, with graphs.

    None where nothing is known.
    """
    fit = shipped_fit(gpu)
    if fit is None:
        return None
    start = Features(
        **sizes_of(model, tp=tp, pp=pp, weights=weights).model_dump(),
        captured_sizes=captured_sizes(max_num_seqs),
        gpus=tp * pp,
        cache="warm",
    )
    warm = predict(fit, start)
    cold = predict(fit, start.model_copy(update={"cache": "cold"}))
    return Ready(warm_s=round(warm.ready_s, 2), cold_s=round(cold.ready_s, 2), error=warm.error)


@cache
def _shipped() -> StartupFit:
    return load_fit(Path(boute.profiles.__file__).parent / "startup.yaml")
