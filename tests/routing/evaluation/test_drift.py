import math

import numpy as np
import pytest

from boute.routing.evaluation.drift import drift, psi
from boute.routing.thresholds import realised_fractions


def plain_psi(seen: np.ndarray, training: np.ndarray, edges: list[float]) -> float:
    total = 0.0
    for low, high in zip([-math.inf, *edges], [*edges, math.inf], strict=True):
        p, q = (sum(low < s <= high for s in each) / len(each) for each in (training, seen))
        total += (q - p) * math.log(q / p)
    return total


def test_psi_is_its_definition() -> None:
    rng = np.random.default_rng(0)
    seen, training = rng.beta(2, 5, 300), rng.beta(2, 4, 500)
    edges = [0.1, 0.2, 0.3, 0.4]
    assert psi(seen, training, np.array(edges)) == pytest.approx(plain_psi(seen, training, edges))


def test_the_same_kind_of_queries_is_stable_and_psi_is_what_chance_makes() -> None:
    rng = np.random.default_rng(1)
    training = rng.beta(2, 5, 5000)
    found = [drift(rng.beta(2, 5, 400), training) for _ in range(60)]
    assert all(each.verdict == "stable" for each in found)
    assert np.mean([each.psi for each in found]) == pytest.approx(found[0].psi_by_chance, rel=0.25)


def test_harder_queries_drift_and_thresholds_are_found_that_restore_the_plan() -> None:
    rng = np.random.default_rng(2)
    training, seen = rng.beta(2, 5, 4000), rng.beta(3, 4, 2000)
    thresholds = np.quantile(training, [0.6, 0.9])
    found = drift(seen, training, models=["s", "m", "l"], thresholds=thresholds.tolist())
    assert found.verdict == "drifted"
    assert found.ks_p < 1e-6
    assert found.shares is not None
    assert found.shares.moved
    assert found.shares.planned == pytest.approx((0.6, 0.3, 0.1), abs=1e-3)
    assert found.shares.seen[0] < 0.4
    assert realised_fractions(seen, found.shares.restored) == pytest.approx(
        found.shares.planned, abs=1e-3
    )


def test_a_small_move_of_a_share_is_a_shift() -> None:
    rng = np.random.default_rng(3)
    training = rng.random(20_000)
    seen = np.clip(rng.random(20_000) + 0.04, 0, 1)
    found = drift(seen, training, models=["s", "l"], thresholds=[0.5], fractions=[0.5, 0.5])
    assert found.psi < 0.1
    assert found.verdict == "shifted"
    assert found.shares is not None
    assert found.shares.restored[0] == pytest.approx(0.54, abs=0.02)


def test_a_few_scores_say_nothing_and_one_score_for_all_is_no_error() -> None:
    training = np.linspace(0, 1, 500)
    assert drift(np.ones(99), training).verdict == "too few scores"
    same = drift(np.full(200, 0.5), np.full(500, 0.5))
    assert (same.verdict, same.psi) == ("stable", pytest.approx(0.0))
    assert drift(np.full(200, 0.5), training).verdict == "drifted"
