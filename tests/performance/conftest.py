"""Shipped cards and a way to build replicas of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from boute.performance.build import build_replica
from boute.performance.replica import Replica
from boute.profiles.catalog import load_gpu, load_model
from boute.spec.family import ModelChoice
from boute.spec.model import Engine

Build = Callable[..., Replica]


@pytest.fixture(scope="session")
def build() -> Build:
    """A replica by names; fails when it cannot exist."""

    def make(
        model: str,
        gpu: str,
        *,
        tp: int = 1,
        pp: int = 1,
        weights: str = "bf16",
        kv_cache: str = "bf16",
        max_model_len: int = 4096,
        **engine: int,
    ) -> Replica:
        made = build_replica(
            load_model(model, Path()),
            load_gpu(gpu, Path()),
            ModelChoice(name=model, weights=weights, kv_cache=kv_cache),
            Engine(**engine),
            tensor_parallel=tp,
            pipeline_parallel=pp,
            max_model_len=max_model_len,
        )
        assert isinstance(made, Replica), made
        return made

    return make
