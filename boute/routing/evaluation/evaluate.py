"""All that is said of a router on a table: `boute router eval` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.routing.evaluation.bootstrap import Resamples
from boute.routing.evaluation.family import FamilyResult, aiq, choices, family_result
from boute.routing.evaluation.judged import Judged
from boute.routing.evaluation.pairs import PairResult, all_pairs, neighbours, pair_result
from boute.routing.evaluation.reliability import Reliability, reliability
from boute.routing.prediction import COVERAGE
from boute.workload.arrays import Floats

__all__ = ["Evaluation", "LengthCheck", "PairLine", "TaskLine", "by_task", "evaluate", "lengths_of"]

# With more models only neighbours are compared, and the cheapest with the dearest.
_MOST_MODELS: Final = 12


@dataclass(frozen=True)
class PairLine:
    """Two models by the difference of their predicted qualities, and RouterBench's area.

    `aiq` is of the pair alone; `aiq_random` is the line between the two models.
    """

    result: PairResult
    aiq: float
    aiq_random: float


@dataclass(frozen=True)
class LengthCheck:
    """Output lengths of a model: the share of answers within their interval, which should be
    `intended`, and the mean predicted over the mean seen."""

    model: str
    coverage: float
    intended: float
    mean_ratio: float


@dataclass(frozen=True)
class TaskLine:
    """One task: mean qualities in cost order, and the score between the two ends of it."""

    task: str
    rows: int
    quality: tuple[float, ...]
    score: PairResult | None


@dataclass(frozen=True)
class Evaluation:
    """What a router is worth on a table.

    `score` is the number that thresholds cut, between the cheapest and the dearest model; `pairs`
    go by predicted qualities. `clusters` is how many groups the intervals are drawn from: tasks
    if `by_task`, else texts that are not nearly the same.
    """

    models: tuple[str, ...]
    rows: int
    trained_on: int
    clusters: int
    by_task: bool
    quality: tuple[float, ...]
    score: PairResult | None
    pairs: tuple[PairLine, ...]
    family: FamilyResult | None
    reliability: tuple[Reliability, ...]
    lengths: tuple[LengthCheck, ...]


def evaluate(judged: Judged, *, resamples: int = 1000, seed: int = 0) -> Evaluation:
    """Every statistic of a router on the rows of a table; there has to be one row."""
    clusters = judged.clusters
    drawn = Resamples(clusters, count=resamples, seed=seed)
    cost, predicted_cost = _costs(judged)
    quality, expected = judged.quality, judged.prediction.quality
    family = None
    if cost is not None and predicted_cost is not None and len(judged.models) > 1:
        family = family_result(quality, cost, expected, predicted_cost, drawn)
    return Evaluation(
        models=judged.models,
        rows=len(judged),
        trained_on=int(judged.seen.sum()),
        clusters=len(np.unique(clusters)),
        by_task=clusters is not judged.groups,
        quality=tuple(quality.mean(axis=0).tolist()),
        score=_by_score(judged, drawn),
        pairs=tuple(_pairs(judged, drawn, cost, predicted_cost)),
        family=family,
        reliability=tuple(reliability(p, q) for p, q in zip(expected.T, quality.T, strict=True)),
        lengths=lengths_of(judged),
    )


def by_task(judged: Judged, *, resamples: int = 300, seed: int = 0) -> list[TaskLine]:
    """Each task alone, in order of appearance; raise ValueError where tasks are not known."""
    if judged.task is None:
        raise ValueError("the table has no column of tasks")
    tasks = np.array(judged.task)
    lines = []
    for task in dict.fromkeys(judged.task):
        part = judged.take(np.flatnonzero(tasks == task))
        drawn = Resamples(part.groups, count=resamples, seed=seed)
        quality = tuple(part.quality.mean(axis=0).tolist())
        lines.append(TaskLine(task, len(part), quality, _by_score(part, drawn)))
    return lines


def _by_score(judged: Judged, drawn: Resamples) -> PairResult | None:
    if len(judged.models) < 2:
        return None
    return pair_result(_ends(judged.models), judged.quality[:, [0, -1]], judged.score, drawn)


def _ends(models: Sequence[str]) -> list[str]:
    return [models[0], models[-1]]


def _pairs(
    judged: Judged, drawn: Resamples, cost: Floats | None, predicted_cost: Floats | None
) -> list[PairLine]:
    models = len(judged.models)
    lines = []
    for pair in all_pairs(models) if models <= _MOST_MODELS else neighbours(models):
        columns = list(pair)
        quality, expected = judged.quality[:, columns], judged.prediction.quality[:, columns]
        names = [judged.models[column] for column in columns]
        result = pair_result(names, quality, expected[:, 1] - expected[:, 0], drawn)
        if result is None:
            continue
        calls = np.tile([0.0, 1.0], (len(quality), 1))
        spent = calls if cost is None else cost[:, columns]
        planned = calls if predicted_cost is None else predicted_cost[:, columns]
        if np.ptp(spent.mean(axis=0)) > 0:
            lines.append(PairLine(result, *_pair_aiq(quality, spent, expected, planned)))
    return lines


def _pair_aiq(
    quality: Floats, cost: Floats, predicted: Floats, predicted_cost: Floats
) -> tuple[float, float]:
    """AIQ of the router between two models, and of the line between them."""
    rows = np.arange(len(quality))
    alone = cost.mean(axis=0), quality.mean(axis=0)
    ends = float(alone[0].min()), float(alone[0].max())
    chosen = choices(predicted, predicted_cost)
    points = [
        np.append(values[rows, chosen].mean(axis=1), single)
        for values, single in zip((cost, quality), alone, strict=True)
    ]
    return aiq(points[0], points[1], *ends), aiq(*alone, *ends)


def _costs(judged: Judged) -> tuple[Floats | None, Floats | None]:
    """Seen and predicted US dollars for a million queries [M, K]; None without prices.

    Where lengths are not known, the predicted ones stand for both.
    """
    if judged.prices is None:
        return None, None
    expected = judged.prediction.output_tokens
    seen = expected if judged.output_tokens is None else judged.output_tokens
    return seen * judged.prices, expected * judged.prices


def lengths_of(judged: Judged) -> tuple[LengthCheck, ...]:
    """Each model's output lengths against what was predicted; nothing where they are not known."""
    tokens, expected = judged.output_tokens, judged.prediction
    if tokens is None:
        return ()
    inside = ((tokens >= expected.output_low) & (tokens <= expected.output_high)).mean(axis=0)
    ratio = expected.output_tokens.mean(axis=0) / tokens.mean(axis=0)
    return tuple(
        LengthCheck(model, float(inside[k]), COVERAGE, float(ratio[k]))
        for k, model in enumerate(judged.models)
    )
