"""A kind of router on a case: every row judged by a fit that saw nothing of its task or group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.routers.cases import Case
from boute.routing.encoders.embedding import EmbeddingModel
from boute.routing.encoders.fitting import fit_encoder
from boute.routing.evaluation.evaluate import Evaluation, TaskLine, by_task, evaluate, lengths_of
from boute.routing.evaluation.judged import Judged
from boute.routing.evaluation.refit import cross_calibrated, reliabilities
from boute.routing.evaluation.reliability import Reliability
from boute.routing.evaluation.splits import Split
from boute.routing.prediction import Prediction
from boute.routing.router import Router
from boute.routing.training import Recipe, encoding_of, fit_encoded
from boute.workload.arrays import Floats


@dataclass(frozen=True, eq=False)
class Result:
    """What came of a kind of router on a case.

    Reliability a model: of the heads alone (`raw`), as fitted with the calibration that training
    makes (`fitted`), and calibrated on other rows of what is judged (`after`); `covered` [K] is the
    share of lengths in their interval then.
    """

    case: Case
    kind: str
    judged: Judged
    evaluation: Evaluation
    tasks: list[TaskLine]
    raw: tuple[Reliability, ...]
    fitted: tuple[Reliability, ...]
    after: tuple[Reliability, ...]
    covered: list[float]


def judge_case(case: Case, recipe: Recipe, model: EmbeddingModel | None, resamples: int) -> Result:
    """Fit on each split and judge all rows together."""
    table, models = case.table, range(len(case.table.models))
    fitted, raw, after, score = [], [], [], np.empty(len(table))
    blank = _blank(case)
    for split in case.splits:
        seen, unseen = table.take(split.train), table.take(split.test)
        encoder, encoded = fit_encoder(seen, encoding_of(recipe), model, recipe.seed)
        router = fit_encoded(seen, models, recipe, encoder, encoded)
        inputs = encoder.encode(unseen.text or ())
        score[split.test] = router.score_encoded(inputs)
        blank.reach[split.test] = router.reach(inputs)
        fitted.append(router.predict_encoded(inputs))
        raw.append(_uncalibrated(router).predict_encoded(inputs))
        part = replace(blank.take(split.test), prediction=raw[-1])
        after.append(cross_calibrated(part, router.spread))
    judged = replace(blank, prediction=_joined(case.splits, fitted), score=score)
    later = replace(judged, prediction=_joined(case.splits, after))
    return Result(
        case=case,
        kind=recipe.kind,
        judged=judged,
        evaluation=evaluate(judged, resamples=resamples),
        tasks=[] if table.task is None else by_task(judged, resamples=min(resamples, 300)),
        raw=reliabilities(_joined(case.splits, raw).quality, judged),
        fitted=reliabilities(judged.prediction.quality, judged),
        after=reliabilities(later.prediction.quality, later),
        covered=[line.coverage for line in lengths_of(later)],
    )


def _blank(case: Case) -> Judged:
    """The rows of a case before anything is predicted of them."""
    table = case.table
    nothing: Floats = np.zeros(table.quality.shape)
    return Judged(
        models=table.models,
        quality=table.quality,
        prediction=Prediction(*[nothing] * 5),
        score=np.zeros(len(table)),
        reach=np.ones(len(table)),
        groups=case.groups,
        seen=np.zeros(len(table), dtype=np.bool_),
        output_tokens=table.output_tokens if table.lengths_known else None,
        prices=None if case.prices is None else np.array(case.prices),
        task=table.task,
    )


def _uncalibrated(router: Router) -> Router:
    return replace(router, calibration=np.tile([1.0, 0.0], (len(router.models), 1)))


def _joined(splits: Sequence[Split], parts: Sequence[Prediction]) -> Prediction:
    """The predictions of all splits in the order of the rows."""
    names = ("quality", "quality_sd", "output_tokens", "output_low", "output_high")
    arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return Prediction(*arrays).take(np.argsort(np.concatenate([split.test for split in splits])))
