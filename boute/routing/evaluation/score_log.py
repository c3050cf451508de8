"""Scores of queries that came: from an access log, the ingress's own counts, or a table of texts.

The counts are what `/metrics/scores` of the ingress answers: bins of one width over [0, 1], with
the routing of each plan. A bin's scores are taken as evenly spread over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from boute.documents import Document, load_document
from boute.errors import DataError, nearest
from boute.routing.router import Router
from boute.routing.sheet import Sheet, read_sheet
from boute.routing.table import TEXT_COLUMNS
from boute.workload.arrays import Floats

__all__ = ["Cut", "PlanScores", "ScoreCounts", "ScoreLog", "read_scores"]

_SCORE: Final = "score"
Count = Annotated[int, Field(ge=0)]


class PlanScores(Document):
    """How many scores fell in each bin under one plan: bin i of B holds (i / B, (i + 1) / B].

    Models are in cost order; a score of 0 is in the first bin.
    """

    plan: str
    models: list[str]
    thresholds: list[float]
    fractions: list[float]
    counts: Annotated[list[Count], Field(min_length=1)]

    def scores(self) -> Floats:
        """The scores, spread evenly over their bins."""
        counts = np.array(self.counts, dtype=np.int64)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        place = (np.arange(counts.sum()) - first + 0.5) / np.repeat(counts, counts)
        scores: Floats = (np.repeat(np.arange(len(counts)), counts) + place) / len(counts)
        return scores


class ScoreCounts(Document):
    """What one replica of an ingress has counted."""

    replica: str
    plans: list[PlanScores]


@dataclass(frozen=True)
class Cut:
    """How a plan cuts scores: K models in cost order, K - 1 thresholds, K planned shares."""

    models: tuple[str, ...]
    thresholds: tuple[float, ...]
    fractions: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ScoreLog:
    """Scores [N] in [0, 1], and the cut of the plan that they came under where the log tells it."""

    scores: Floats
    cut: Cut | None = None


def read_scores(path: Path, router: Router, plan: str | None) -> ScoreLog:
    """Read a log; with the name of a plan only what came under it, where the log tells plans apart.

    JSON is the ingress's counts. A table (CSV, JSON Lines, Parquet) has a column `score`, as the
    access log has, or a text that the router scores; rows without a score are left out. Raise
    DataError where no score is found or one is not in [0, 1].
    """
    log = _counted(path, plan) if path.suffix == ".json" else _listed(path, router, plan)
    if not len(log.scores):
        raise DataError(
            "holds no score" + (f" of {plan}" if plan else ""),
            where=str(path),
            mend="scores are of requests that were routed, not asked of a model by its name",
        )
    return log


def _counted(path: Path, plan: str | None) -> ScoreLog:
    plans = load_document(path, ScoreCounts, error=DataError).plans
    named = {each.plan: each for each in plans}
    if plan is not None and plan not in named:
        raise DataError(
            f"has no scores of {plan}", where=str(path), mend=nearest(plan, named, "plans")
        )
    if not plans:
        return ScoreLog(np.zeros(0))
    # Without a name the plan that was taken over last.
    found = plans[-1] if plan is None else named[plan]
    if len(found.thresholds) != len(found.models) - 1:
        # Another policy than thresholds on the score: models have no share by score.
        return ScoreLog(found.scores())
    cut = Cut(tuple(found.models), tuple(found.thresholds), tuple(found.fractions))
    return ScoreLog(found.scores(), cut)


def _listed(path: Path, router: Router, plan: str | None) -> ScoreLog:
    sheet = read_sheet(path)
    rows = list(range(len(sheet)))
    if plan is not None and "plan" in sheet.columns:
        rows = [row for row in rows if sheet.columns["plan"][row] == plan]
    if _SCORE in sheet.columns:
        return ScoreLog(_given(sheet, rows))
    if router.takes != "text":
        sheet.require([_SCORE], "the router's score")
    column = sheet.require(TEXT_COLUMNS, "a score, or the query's text")
    texts = sheet.texts(column, np.array(rows, dtype=np.int64))
    return ScoreLog(router.score(texts) if texts else np.zeros(0))


def _given(sheet: Sheet, rows: list[int]) -> Floats:
    scores = sheet.numbers(_SCORE, rows)
    known = np.flatnonzero(~np.isnan(scores))
    wrong = known[(scores[known] < 0) | (scores[known] > 1)]
    if wrong.size:
        first = int(wrong[0])
        sheet.fail(f"a score should be in [0, 1] (it is {scores[first]:g})", _SCORE, rows[first])
    return np.asarray(scores[known], dtype=np.float64)
