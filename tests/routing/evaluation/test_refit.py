from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from boute.errors import DataError
from boute.routing.evaluation.evaluate import lengths_of
from boute.routing.evaluation.judged import judge
from boute.routing.evaluation.recalibrate import calibrated
from boute.routing.evaluation.refit import calibrate
from boute.routing.router import Router
from boute.routing.table import QualityTable


def test_a_router_that_promises_too_much_of_longer_answers_is_mended(
    router: Router, table: Callable[..., QualityTable]
) -> None:
    """On traffic where all models answer worse and at three times the length."""
    rng = np.random.default_rng(0)
    rows = table(1200)
    worse = rows.quality * (rng.random(rows.quality.shape) < 0.6)
    rows = replace(rows, quality=worse, output_tokens=rows.output_tokens * 3)
    found = calibrate(router, rows)
    assert (found.rows, found.left_out) == (1200, 0)
    for before, after in zip(found.before, found.after, strict=True):
        assert before.ece > 0.1
        assert after.ece < 2 * after.ece_by_chance
        assert after.brier < before.brier
    # Also on rows of the kind that no line was fitted on.
    others = table(800, seed=5)
    others = replace(others, output_tokens=others.output_tokens * 3)
    before_lengths, after_lengths = (
        lengths_of(judge(each, others, {})) for each in (router, found.router)
    )
    assert all(line.coverage < 0.3 for line in before_lengths)
    assert all(line.coverage == pytest.approx(0.8, abs=0.08) for line in after_lengths)


def test_scores_and_what_is_remembered_stay(
    router: Router, table: Callable[..., QualityTable]
) -> None:
    rows = table(300)
    found = calibrate(router, rows).router
    assert rows.text is not None
    assert np.array_equal(found.score(rows.text), router.score(rows.text))
    assert found.reference is router.reference
    assert found.data_hash == router.data_hash
    raw = replace(router, calibration=np.tile([1.0, 0.0], (3, 1))).predict(rows.text)
    expected = calibrated(raw.quality, found.calibration)
    assert found.predict(rows.text).quality == pytest.approx(expected)


def test_calibrating_twice_is_calibrating_once(
    router: Router, table: Callable[..., QualityTable]
) -> None:
    rows = table(300)
    once = calibrate(router, rows).router
    twice = calibrate(once, rows).router
    assert twice.calibration == pytest.approx(once.calibration)
    assert twice.spread.mean == pytest.approx(once.spread.mean)


def test_lengths_stay_where_the_table_does_not_tell_them(
    router: Router, table: Callable[..., QualityTable]
) -> None:
    found = calibrate(router, table(300, lengths_known=False)).router
    assert np.array_equal(found.spread.mean, router.spread.mean)
    assert np.array_equal(found.spread.low, router.spread.low)


def test_rows_that_were_fitted_on_do_not_count(
    router: Router, fitted_on: QualityTable, table: Callable[..., QualityTable]
) -> None:
    with pytest.raises(DataError, match=r"0 rows that the router was not fitted on.*at least 50"):
        calibrate(router, fitted_on)
    assert fitted_on.text is not None
    rows = table(200)
    assert rows.text is not None
    mixed = replace(rows, text=fitted_on.text[:80] + rows.text[80:])
    found = calibrate(router, mixed)
    assert (found.rows, found.left_out) == (120, 80)
