"""Starts of made-up models whose steps are known to the last digit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.startup.fit import MeasuredStart
from boute.startup.model import Features, Modelled, StepFit

TRUE: dict[Modelled, StepFit] = {
    "bootstrap": StepFit(terms={"start": 10.0, "cold": 8.0, "tokenizer_mb": 0.03}),
    "loading": StepFit(terms={"start": 0.1, "weights_gb": 0.5}),
    "compile": StepFit(
        terms={
            "compiled": 3.0,
            "compiled_b": 0.5,
            "operation": 0.05,
            "cold_compiled": 9.0,
            "cold_operation": 0.125,
        }
    ),
    "profiling": StepFit(terms={"start": 0.25, "parameters_b": 0.75}),
    "capture": StepFit(terms={"captured": 0.2, "captured_size": 0.02, "captured_size_b": 0.001}),
    "other": StepFit(terms={"start": 1.0, "tokenizer_mb": 0.02}),
}


@pytest.fixture
def made_starts() -> Callable[..., list[MeasuredStart]]:
    """Four starts of each of `models` models, with a relative error of `noise`."""

    def make(models: int = 8, noise: float = 0.0) -> list[MeasuredStart]:
        random = np.random.default_rng(0)
        starts = []
        for number in range(models):
            parameters = 10 ** random.uniform(7, 10)
            sizes = {
                "weights_bytes": 2 * parameters,
                "parameters": parameters,
                "layers": float(random.integers(2, 48)),
                "layer_operations": float(random.integers(7, 11)),
                "tokenizer_bytes": random.uniform(1e5, 1e7),
                "captured_sizes": int(random.integers(4, 67)),
            }
            for cache in ("warm", "cold"):
                for eager in (False, True):
                    features = Features(**sizes, cache=cache, eager=eager)
                    steps = {
                        step: fit.seconds(features) * random.normal(1.0, noise)
                        for step, fit in TRUE.items()
                    }
                    starts.append(
                        MeasuredStart(
                            name=f"m{number}.{cache}.{eager}",
                            model=f"m{number}",
                            device="a machine",
                            engine="vLLM 0.29.0",
                            features=features,
                            steps=steps,
                            total_s=sum(steps.values()),
                        )
                    )
        return starts

    return make


@pytest.fixture
def true_steps() -> dict[Modelled, StepFit]:
    """What the made starts follow."""
    return TRUE
