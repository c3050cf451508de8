import numpy as np
import pytest

from boute.routing.evaluation.bootstrap import Resamples
from boute.routing.evaluation.pairs import all_pairs, neighbours, pair_result


def made(rows: int, signal: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Quality [rows, 2] right or wrong, and a score that knows the weak model's with `signal`."""
    rng = np.random.default_rng(seed)
    hard = rng.random(rows)
    weak = rng.random(rows) > hard * 0.8
    strong = rng.random(rows) > hard * 0.2
    return np.stack([weak, strong], axis=1).astype(float), signal * hard + rng.random(rows)


def test_a_score_that_knows_beats_random_and_one_that_does_not_does_not() -> None:
    quality, score = made(1500, signal=3.0)
    groups = Resamples(np.arange(1500), count=300)
    knows = pair_result(["a", "b"], quality, score, groups)
    assert knows is not None
    assert knows.beats_random
    assert 0.5 < knows.apgr.low < knows.apgr.value < knows.apgr.high < knows.oracle
    assert 0.0 < knows.of_oracle.value < 1.0
    assert knows.cpt_50.value < 0.5
    assert knows.cpt_50.value < knows.cpt_80.value < 0.8
    blind = pair_result(["a", "b"], quality, np.random.default_rng(9).random(1500), groups)
    assert blind is not None
    assert not blind.beats_random


def test_one_chance_score_in_forty_seems_to_beat_random() -> None:
    """The interval covers what it should: 2.5% of blind scores are above it."""
    quality, _ = made(300, signal=0.0)
    groups = Resamples(np.arange(300), count=200)
    rng = np.random.default_rng(1)
    found = [pair_result(["a", "b"], quality, rng.random(300), groups) for _ in range(120)]
    beats = sum(each is not None and each.beats_random for each in found)
    assert beats <= 9  # 3 are expected; 9 or more come once in 250


def test_the_oracle_is_all_of_the_oracle() -> None:
    quality, _ = made(400, signal=0.0)
    best = pair_result(
        ["a", "b"], quality, quality[:, 1] - quality[:, 0], Resamples(np.arange(400), count=50)
    )
    assert best is not None
    assert best.of_oracle == pytest.approx((1.0, 1.0, 1.0))
    assert best.apgr.value == best.oracle


def test_there_is_no_gap_to_recover_where_the_dearer_model_is_no_better() -> None:
    quality, score = made(100, signal=1.0)
    assert pair_result(["b", "a"], quality[:, ::-1], score, Resamples(np.arange(100))) is None


def test_which_pairs() -> None:
    assert neighbours(2) == [(0, 1)]
    assert neighbours(4) == [(0, 1), (1, 2), (2, 3), (0, 3)]
    assert len(all_pairs(5)) == 10
