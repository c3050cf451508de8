import numpy as np
import pytest

from boute.routing.evaluation import bootstrap
from boute.routing.evaluation.bootstrap import Resamples, estimate


def test_rows_of_a_group_come_together_and_each_resample_has_as_many_groups() -> None:
    groups = np.array([0, 0, 1, 2, 2, 2, 5])
    weights = np.concatenate(list(Resamples(groups, count=50).blocks()), axis=1)
    assert weights.shape == (7, 50)
    for group in np.unique(groups):
        rows = weights[groups == group]
        assert (rows == rows[0]).all()
    firsts = [int(np.flatnonzero(groups == group)[0]) for group in np.unique(groups)]
    assert (weights[firsts].sum(axis=0) == 4).all()


def test_blocks_are_the_same_each_time_and_however_they_are_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resamples = Resamples(np.arange(30), count=40, seed=3)
    whole = np.concatenate(list(resamples.blocks()), axis=1)
    monkeypatch.setattr(bootstrap, "_BLOCK", 100)
    blocks = list(resamples.blocks())
    assert len(blocks) > 10
    assert np.array_equal(np.concatenate(blocks, axis=1), whole)


def test_the_interval_of_a_mean_is_the_textbook_s() -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, 400)
    blocks = Resamples(np.arange(400), count=2000).blocks()
    means = np.concatenate([values @ weights / weights.sum(axis=0) for weights in blocks])
    found = estimate(float(values.mean()), means)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)


def test_doubled_rows_do_not_narrow_an_interval() -> None:
    values = np.random.default_rng(0).normal(0.0, 1.0, 200)
    twice, groups = np.repeat(values, 2), np.repeat(np.arange(200), 2)

    def width(values: np.ndarray, groups: np.ndarray) -> float:
        blocks = Resamples(groups, count=1000).blocks()
        means = [values @ weights / weights.sum(axis=0) for weights in blocks]
        found = estimate(0.0, np.concatenate(means))
        return found.high - found.low

    assert width(twice, groups) == pytest.approx(width(values, np.arange(200)), rel=1e-9)
    assert width(twice, np.arange(400)) < 0.8 * width(twice, groups)


def test_an_interval_without_an_end_is_none() -> None:
    resampled = np.arange(100.0)
    resampled[:2] = np.nan
    assert estimate(5.0, resampled).low == pytest.approx(4.425)
    resampled[:3] = np.nan
    assert np.isnan(estimate(5.0, resampled).low)
