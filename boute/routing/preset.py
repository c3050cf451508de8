"""Quality presets: tables that are shipped as the parameters of a distribution, not as rows.

For each task of a benchmark a Gaussian copula ties together, per query, whether each model answers
correctly (a multivariate probit), how long each answer is (lognormal), and the score of the text
router fitted on the benchmark (logit-normal). `benchmarks/fit_quality_presets.py` fits and writes
them, and prints how close a sample comes to the data.
"""

from __future__ import annotations

import functools
import importlib.resources
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from boute.documents import Document, load_document
from boute.errors import DataError
from boute.workload.arrays import Floats

__all__ = ["QualityPreset", "Sampled", "TaskPreset", "load_preset", "preset_names", "sample"]

ROWS = 2000
# Fixed, so that a preset is one table whatever the seed of a study.
SAMPLING_SEED = 20_240_731

Positive = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class TaskPreset(Document):
    """One task of the mixture, for K models in the order of the preset.

    `correlation` is the lower triangle, without the diagonal of ones, of the correlations between
    2 K + 1 normal variables: K that are high where a model fails, K log lengths, one logit score.
    """

    share: Annotated[float, Field(gt=0, le=1)]
    accuracy: list[Probability]
    output_tokens_mean: list[Positive]
    output_tokens_sd: list[Positive]
    score_logit_mean: float
    score_logit_sd: Positive
    correlation: list[list[float]]

    def correlation_matrix(self) -> Floats:
        """The whole matrix [2 K + 1, 2 K + 1]."""
        size = len(self.correlation) + 1
        matrix = np.eye(size)
        for i, row in enumerate(self.correlation, 1):
            matrix[i, :i] = matrix[:i, i] = row
        return matrix


class QualityPreset(Document):
    """A family's quality on a benchmark. `models` are the names of model cards."""

    source: str
    models: Annotated[list[str], Field(min_length=1)]
    tasks: Annotated[dict[str, TaskPreset], Field(min_length=1)]

    @model_validator(mode="after")
    def _shapes_agree(self) -> QualityPreset:
        k = len(self.models)
        for name, task in self.tasks.items():
            if {len(task.accuracy), len(task.output_tokens_mean), len(task.output_tokens_sd)} != {
                k
            }:
                raise ValueError(f"{name} should have one entry a model")
            if [len(row) for row in task.correlation] != list(range(1, 2 * k + 1)):
                raise ValueError(f"{name}: correlation should be a triangle of {2 * k} rows")
            if np.linalg.eigvalsh(task.correlation_matrix()).min() <= 0:
                raise ValueError(f"{name}: correlation should be positive definite")
        return self


@dataclass(frozen=True, eq=False)
class Sampled:
    """M queries: quality and output tokens [M, K], score [M] in (0, 1)."""

    quality: Floats
    output_tokens: Floats
    score: Floats


def _folder() -> Path:
    return Path(str(importlib.resources.files("boute.profiles"))) / "presets" / "quality"


@functools.cache
def preset_names() -> tuple[str, ...]:
    """Names of the shipped presets."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def load_preset(name: str) -> QualityPreset:
    """Read a shipped preset by name."""
    return load_document(_folder() / f"{name}.yaml", QualityPreset, error=DataError)


def sample(preset: QualityPreset) -> Sampled:
    """About 2,000 queries of the preset, the same ones every time."""
    rng = np.random.default_rng(SAMPLING_SEED)
    parts = [_sample_task(task, rng) for task in preset.tasks.values()]
    return Sampled(
        quality=np.concatenate([part.quality for part in parts]),
        output_tokens=np.concatenate([part.output_tokens for part in parts]),
        score=np.concatenate([part.score for part in parts]),
    )


def _sample_task(task: TaskPreset, rng: np.random.Generator) -> Sampled:
    k = len(task.accuracy)
    root = np.linalg.cholesky(task.correlation_matrix())
    z = _standard_normals(round(ROWS * task.share), 2 * k + 1, rng) @ root.T
    correct_below = np.array([NormalDist().inv_cdf(p) for p in task.accuracy])
    mean = np.array(task.output_tokens_mean)
    # A lognormal with this mean and standard deviation.
    variance = np.log1p((np.array(task.output_tokens_sd) / mean) ** 2)
    tokens = mean * np.exp(np.sqrt(variance) * z[:, k : 2 * k] - variance / 2)
    logit = task.score_logit_mean + task.score_logit_sd * z[:, 2 * k]
    return Sampled(
        quality=(z[:, :k] <= correct_below).astype(np.float64),
        output_tokens=np.maximum(tokens, 1.0),
        score=1 / (1 + np.exp(-logit)),
    )


def _standard_normals(rows: int, columns: int, rng: np.random.Generator) -> Floats:
    """Normal draws [rows, columns] whose sample mean is 0 and whose sample covariance is 1.

    Moment matching leaves a preset's accuracies and correlations closer to what was fitted than
    the chance of one plain sample would.
    """
    draws = rng.standard_normal((rows, columns))
    draws -= draws.mean(axis=0)
    root = np.linalg.cholesky(draws.T @ draws / rows)
    return np.asarray(np.linalg.solve(root, draws.T).T)
