"""Draws of the windows of a trace are held against all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.thinning import drawn, rows
from boute.context import prepare
from boute.optimizer.rivalry import run_sampler
from boute.spec.model import Spec
from boute.workload.source import load_trace


def test_every_stated_error_is_held_against_the_whole_trace() -> None:
    lengths = {"median": 200, "sigma": 0.8, "maximum": 2000}
    spec = Spec.model_validate(
        {
            "models": ["llama-3.1-8b", "llama-3.1-70b"],
            "gpus": {"h100-sxm": {"count": 16}},
            "workload": {
                "generator": {
                    "arrivals": "poisson",
                    "rate_per_s": 20,
                    "duration_s": 3000,
                    "input_tokens": lengths,
                    "output_tokens": lengths,
                },
                "thin_to": 15_000,
            },
            "quality": {"table": "llama-3.1"},
            "objectives": ["quality", "e2e_p95_s", "cost_per_hour"],
            "targets": {"ttft_p95_s": 2.0},
        }
    )
    context = prepare(spec, Path())
    assert context.workload.thinning is not None
    trial = run_sampler(context, "single-model", 0, 8).front[0]
    assert trial.decision is not None
    told = [row.split(" | ") for row in rows(trial.decision, context, 3)]
    assert [row[0] for row in told] == ["ttft_p95_s", "e2e_p95_s"]
    assert all(row[4].endswith(" of 3") for row in told)
    trace = load_trace(spec.workload, Path(), 0)
    found = [drawn(trial.decision, context, trace, seed).value("e2e_p95_s") for seed in (0, 1)]
    assert found[0] != found[1]
    assert np.isclose(found[0], found[1], rtol=0.1)
