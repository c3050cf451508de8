import itertools
from pathlib import Path

import numpy as np
import pytest

from boute.routing.apgr import router_report
from boute.routing.table import QualityTable, load_quality_table
from boute.routing.training import held_out_scores
from boute.spec.family import ModelChoice
from boute.spec.quality import Quality

ZEROEVAL = Path(__file__).parents[2].parent / "shared/data/zeroeval"


def table_of(quality: np.ndarray) -> QualityTable:
    return QualityTable(
        name="made",
        models=tuple("abcdef"[: quality.shape[1]]),
        quality=quality,
        output_tokens=np.ones_like(quality),
        score=np.zeros(len(quality)),
    )


def plain_apgr(weak: np.ndarray, strong: np.ndarray, score: np.ndarray) -> float:
    """Route the hardest n to the strong model for every n, and take the mean of the PGR."""
    order = np.argsort(-score)
    gaps = []
    for n in range(len(score) + 1):
        routed = weak.copy()
        routed[order[:n]] = strong[order[:n]]
        gaps.append((routed.mean() - weak.mean()) / (strong.mean() - weak.mean()))
    return float(np.mean([(a + b) / 2 for a, b in itertools.pairwise(gaps)]))


def test_agrees_with_the_definition() -> None:
    rng = np.random.default_rng(2)
    weak, strong, score = rng.random(80), rng.random(80) + 0.5, rng.random(80)
    (pair,) = router_report(table_of(np.stack([weak, strong], axis=1) / 2), score, [0, 1])
    assert pair.apgr == pytest.approx(plain_apgr(weak, strong, score))


def test_a_perfect_score_is_the_oracle_and_a_blind_one_is_random() -> None:
    quality = np.repeat([[1.0, 1.0], [0.0, 1.0]], [75, 25], axis=0)
    table = table_of(quality)
    (perfect,) = router_report(table, 1 - quality[:, 0], [0, 1])
    assert perfect.apgr == perfect.oracle == pytest.approx(0.875)
    assert (perfect.cpt_50, perfect.cpt_80) == pytest.approx((0.125, 0.2))
    (blind,) = router_report(table, np.zeros(100), [0, 1])
    assert (blind.apgr, blind.cpt_50, blind.cpt_80) == pytest.approx((0.5, 0.5, 0.8))


def test_pairs_are_neighbours_and_the_ends_without_those_that_gain_nothing() -> None:
    quality = np.random.default_rng(0).random((50, 3)) * 0.2 + [0.1, 0.3, 0.5]
    names = [(p.weak, p.strong) for p in router_report(table_of(quality), quality[:, 0], [0, 1, 2])]
    assert names == [("a", "b"), ("b", "c"), ("a", "c")]
    names = [(p.weak, p.strong) for p in router_report(table_of(quality), quality[:, 0], [2, 1, 0])]
    assert names == []


@pytest.mark.skipif(not ZEROEVAL.is_dir(), reason="needs ../shared/data/zeroeval")
def test_the_text_score_beats_random_on_zeroeval() -> None:
    quality = Quality(
        table="correct.csv.gz",
        lengths="out_chars.csv.gz",
        texts="questions.csv.gz",
        key=["task", "id"],
        quality={
            "8b": "Meta-Llama-3.1-8B-Instruct",
            "405b": "Llama-3.1-405B-Inst@sambanova",
        },
        output_unit="chars",
    )
    models = [ModelChoice(name="8b"), ModelChoice(name="405b")]
    table = load_quality_table(quality, models, ZEROEVAL)
    assert (len(table), table.dropped) == (2119, 0)
    assert table.quality.mean(axis=0) == pytest.approx([0.6734, 0.8726], abs=1e-4)
    for seed in (0, 1):
        (pair,) = router_report(table, held_out_scores(table, [0, 1], seed), [0, 1])
        assert pair.apgr > 0.5 + 5 * pair.random_sd
        assert pair.apgr < pair.oracle
