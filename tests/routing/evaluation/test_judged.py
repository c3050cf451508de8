from collections.abc import Callable

import numpy as np
import pytest

from boute.errors import DataError, InputError
from boute.routing.evaluation.judged import judge
from boute.routing.router import Router
from boute.routing.table import QualityTable

PRICES = {"small": 0.2, "medium": 0.5, "big": 3.0}


def test_columns_are_in_the_router_s_order_and_others_are_left_out(
    router: Router, table: Callable[..., QualityTable]
) -> None:
    rows = table(60)
    turned = table(
        60,
        models=("big", "other", "medium", "small"),
        quality=np.stack([rows.quality[:, 2], rows.quality[:, 0] * 0, *rows.quality.T[1::-1]], 1),
        output_tokens=rows.output_tokens[:, [2, 0, 1, 0]],
    )
    plain, other = judge(router, rows, PRICES), judge(router, turned, {})
    assert other.models == ("small", "medium", "big")
    assert np.array_equal(plain.quality, other.quality)
    assert plain.prices is not None
    assert plain.prices.tolist() == [0.2, 0.5, 3.0]
    assert other.prices is None


def test_rows_that_were_fitted_on_are_told_by_their_texts(
    router: Router, fitted_on: QualityTable, table: Callable[..., QualityTable]
) -> None:
    assert judge(router, fitted_on, {}).seen.all()
    assert not judge(router, table(50), {}).seen.any()


def test_intervals_are_drawn_from_tasks_only_where_there_are_many(
    router: Router, table: Callable[..., QualityTable]
) -> None:
    few = judge(router, table(100), {})
    assert few.clusters is few.groups
    many = judge(router, table(100, task=tuple(f"task {i % 25}" for i in range(100))), {})
    assert len(np.unique(many.clusters)) == 25
    part = many.take(np.arange(0, 100, 2))
    assert len(part) == 50
    assert part.prediction.quality.shape == (50, 3)
    assert part.task is not None
    assert part.task[1] == "task 2"


def test_what_does_not_fit_the_router_is_said(
    router: Router, table: Callable[..., QualityTable]
) -> None:
    with pytest.raises(DataError, match=r"has no quality of big.*did you mean bigger"):
        judge(router, table(30, models=("small", "medium", "bigger")), {})
    with pytest.raises(DataError, match="has no text"):
        judge(router, table(30, text=None, score=np.zeros(30)), {})
    with pytest.raises(InputError, match="medium has no price"):
        judge(router, table(30), {"small": 1.0, "big": 2.0})
    with pytest.raises(InputError, match="huge is no model"):
        judge(router, table(30), PRICES | {"huge": 1.0})
