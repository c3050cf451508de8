"""A table and what a router makes of it, side by side: what all statistics start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from boute.errors import DataError, InputError, nearest
from boute.routing.encoders.encoder import Queries
from boute.routing.evaluation.bootstrap import LEAST_TASKS
from boute.routing.evaluation.duplicates import near_duplicates
from boute.routing.evaluation.seen import seen_before
from boute.routing.prediction import Prediction
from boute.routing.router import Router
from boute.routing.table import QualityTable
from boute.workload.arrays import Floats, Ints

__all__ = ["Judged", "judge"]


@dataclass(frozen=True, eq=False)
class Judged:
    """M rows and K models, cheapest first.

    `quality` [M, K] is what came, `prediction` what was expected and `score` [M] what thresholds
    cut; `reach` [M] is how much wider than others the intervals of lengths are. `output_tokens`
    [M, K] is None where lengths are not known, and `prices` [K] (US dollars for a million output
    tokens) where they were not given. `groups` [M] are near-duplicates; `seen` [M] marks rows that
    the router was fitted on.
    """

    models: tuple[str, ...]
    quality: Floats
    prediction: Prediction
    score: Floats
    reach: Floats
    groups: Ints
    seen: NDArray[np.bool_]
    output_tokens: Floats | None = None
    prices: Floats | None = None
    task: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.quality)

    @property
    def clusters(self) -> Ints:
        """What a bootstrap draws [M]: tasks where there are enough, else near-duplicates."""
        if self.task is None or len(set(self.task)) < LEAST_TASKS:
            return self.groups
        return np.asarray(np.unique(np.array(self.task), return_inverse=True)[1], dtype=np.int64)

    def take(self, rows: Ints) -> Judged:
        """Some of the rows."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("quality", "score", "reach", "groups", "seen", "output_tokens"):
            if values[name] is not None:
                values[name] = values[name][rows]
        values["prediction"] = self.prediction.take(rows)
        if self.task is not None:
            values["task"] = tuple(self.task[row] for row in rows.tolist())
        return Judged(**values)


def judge(router: Router, table: QualityTable, prices: Mapping[str, float]) -> Judged:
    """Predict a table with a router; raise DataError or InputError where they do not fit.

    `prices` has US dollars for a million output tokens of every model, or is empty.
    """
    missing = [name for name in router.models if name not in table.models]
    if missing:
        raise DataError(
            f"has no quality of {', '.join(missing)}, which the router knows",
            where=table.name,
            mend=nearest(missing, table.models, "columns"),
        )
    columns = [table.models.index(name) for name in router.models]
    encoded = router.encoder.encode(_queries(router, table))
    texts = table.text
    rows = len(table)
    return Judged(
        models=router.models,
        quality=table.quality[:, columns],
        prediction=router.predict_encoded(encoded),
        score=router.score_encoded(encoded),
        reach=router.reach(encoded),
        groups=near_duplicates(texts) if texts is not None else np.arange(rows),
        seen=np.zeros(rows, np.bool_)
        if texts is None
        else seen_before(texts, router.reference.texts),
        output_tokens=table.output_tokens[:, columns] if table.lengths_known else None,
        prices=_prices(router.models, prices),
        task=table.task,
    )


def _queries(router: Router, table: QualityTable) -> Queries:
    found = {"text": table.text, "features": table.features, "given": table.score}[router.takes]
    if found is None:
        what = {"text": "text", "features": "features", "given": "score"}[router.takes]
        raise DataError(
            f"has no {what}, which is what the router looks at",
            where=table.name,
            mend="name the columns that it was fitted on",
        )
    if router.takes == "features" and router.feature_names != table.feature_names:
        raise DataError(
            f"has the features {', '.join(table.feature_names)}; the router looks at "
            f"{', '.join(router.feature_names)}",
            where=table.name,
            mend="name them in the order that it was fitted on",
        )
    return found


def _prices(models: tuple[str, ...], prices: Mapping[str, float]) -> Floats | None:
    if not prices:
        return None
    for name in prices:
        if name not in models:
            raise InputError(
                f"{name} is no model of the router",
                where="--price",
                mend=nearest(name, models, "models"),
            )
    without = [name for name in models if name not in prices]
    if without:
        raise InputError(f"{', '.join(without)} has no price", where="--price", mend="give all")
    return np.array([prices[name] for name in models], dtype=np.float64)
