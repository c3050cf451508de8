from collections.abc import Callable

import numpy as np
import pytest

from boute.routing.evaluation.evaluate import by_task, evaluate
from boute.routing.evaluation.judged import judge
from boute.routing.router import Router
from boute.routing.table import QualityTable

PRICES = {"small": 0.2, "medium": 0.5, "big": 3.0}


def test_a_router_that_knows_the_word_beats_chance_everywhere(
    router: Router, table: Callable[..., QualityTable]
) -> None:
    found = evaluate(judge(router, table(), PRICES), resamples=200)
    assert (found.rows, found.trained_on, found.by_task) == (400, 0, False)
    assert found.score is not None
    assert found.score.beats_random
    pairs = {(line.result.weak, line.result.strong): line for line in found.pairs}
    assert set(pairs) == {("small", "medium"), ("small", "big"), ("medium", "big")}
    assert pairs["small", "big"].result.beats_random
    assert pairs["small", "big"].aiq > pairs["small", "big"].aiq_random
    assert found.family is not None
    assert found.family.gain.low > 0
    assert len(found.reliability) == len(found.lengths) == 3
    for line in found.lengths:
        assert line.coverage == pytest.approx(line.intended, abs=0.1)
        assert line.mean_ratio == pytest.approx(1.0, abs=0.15)


def test_without_prices_there_is_no_family_and_a_pair_counts_calls(
    router: Router, table: Callable[..., QualityTable]
) -> None:
    rows = table()
    found = evaluate(judge(router, rows, {}), resamples=100)
    assert found.family is None
    line = next(each for each in found.pairs if each.result.strong == "big")
    weak, strong = line.result.weak_quality, line.result.strong_quality
    assert line.aiq_random == pytest.approx((weak + strong) / 2)


def test_unknown_lengths_are_not_judged(router: Router, table: Callable[..., QualityTable]) -> None:
    rows = table(60, lengths_known=False)
    assert evaluate(judge(router, rows, {}), resamples=100).lengths == ()


def test_each_task_alone(router: Router, table: Callable[..., QualityTable]) -> None:
    rows = table(200)
    lines = by_task(judge(router, rows, {}), resamples=100)
    assert {line.task for line in lines} == {"maths", "chat"}
    assert sum(line.rows for line in lines) == 200
    assert rows.task is not None
    maths = np.array(rows.task) == "maths"
    line = next(line for line in lines if line.task == "maths")
    assert line.quality == pytest.approx(rows.quality[maths].mean(axis=0).tolist())
    with pytest.raises(ValueError, match="no column of tasks"):
        by_task(judge(router, table(40, task=None), {}))


def test_one_row_and_one_model_are_judged_too(
    router: Router, table: Callable[..., QualityTable]
) -> None:
    found = evaluate(judge(router, table(1), PRICES), resamples=100)
    assert found.rows == 1
