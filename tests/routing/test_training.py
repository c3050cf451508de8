from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from boute.routing.evaluation.duplicates import near_duplicates
from boute.routing.table import QualityTable
from boute.routing.training import fit_router, folds_of, held_out_scores

Make = Callable[..., QualityTable]


def test_held_out_scores_find_the_hard_queries(text_table: Make) -> None:
    table = text_table()
    score = held_out_scores(table, [0, 1], seed=0)
    assert ((score >= 0) & (score <= 1)).all()
    assert roc_auc_score(table.quality[:, 0] == 0, score) > 0.8


def test_same_seed_same_bytes_and_another_seed_other_folds(text_table: Make) -> None:
    table = text_table()
    first = held_out_scores(table, [0, 1], seed=3)
    assert first.tobytes() == held_out_scores(table, [0, 1], seed=3).tobytes()
    assert first.tobytes() != held_out_scores(table, [0, 1], seed=4).tobytes()


def test_no_fit_sees_a_query_it_scores(text_table: Make) -> None:
    """Labels of pure noise cannot be foretold, even when each text is there many times."""
    table = text_table(rows=100, repeats=20)
    noise = (np.random.default_rng(5).random(100) < 0.5).astype(np.float64)
    table = replace(table, quality=np.stack([np.tile(noise, 20), np.ones(2000)], axis=1))
    score = held_out_scores(table, [0, 1], seed=0)
    held_out = roc_auc_score(table.quality[:, 0] == 0, score)
    seen = roc_auc_score(
        table.quality[:, 0] == 0, fit_router(table, [0, 1]).score(list(table.text or ()))
    )
    assert held_out < 0.6 < 0.75 < seen


def test_features_in_place_of_text(text_table: Make) -> None:
    table = text_table()
    hard = np.array([text.startswith("integral") for text in table.text or ()], dtype=np.float64)
    features = np.stack([hard * 1000 + 5, np.full(len(hard), 7.0)], axis=1)
    table = replace(table, text=None, features=features, feature_names=("hard", "constant"))
    score = held_out_scores(table, [0, 1], seed=0)
    assert score[hard == 1].min() > score[hard == 0].max()


def test_a_given_score_is_moved_to_the_unit_interval(text_table: Make) -> None:
    given = np.linspace(-3, 9, 200)
    table = replace(text_table(), score=given)
    score = held_out_scores(table, [0, 1], seed=0)
    assert score == pytest.approx(np.linspace(0, 1, 200))
    router = fit_router(table, [0, 1])
    assert router.score(np.array([-10.0, 3.0, 99.0])).tolist() == [0.0, 0.5, 1.0]


def test_graded_quality_counts_by_how_much_is_gained(text_table: Make) -> None:
    table = text_table(rows=400)
    hard = np.array([text.startswith("integral") for text in table.text or ()])
    small = np.where(hard, 0.5, 0.9)
    table = replace(table, quality=np.stack([small, np.full(400, 0.95)], axis=1))
    score = held_out_scores(table, [0, 1], seed=0)
    gain = table.quality[:, 1] - table.quality[:, 0]
    assert 2 * score.mean() - 1 == pytest.approx(gain.mean(), abs=0.01)
    assert roc_auc_score(hard, score) > 0.9


@pytest.mark.parametrize("small", [0.0, 1.0])
def test_one_class_gives_one_score(text_table: Make, small: float) -> None:
    table = text_table()
    table = replace(table, quality=np.tile([small, 1.0], (200, 1)))
    score = held_out_scores(table, [0, 1], seed=0)
    assert np.ptp(score) < 1e-9
    assert score[0] == pytest.approx(1 - small / 2, abs=1e-5)


def test_one_model_one_query_and_no_words(text_table: Make) -> None:
    table = text_table()
    assert np.ptp(held_out_scores(table, [1], seed=0)) < 1e-9
    same = replace(table, text=("again",) * 200)
    assert np.ptp(held_out_scores(same, [0, 1], seed=0)) < 1e-9
    assert np.isfinite(held_out_scores(replace(table, text=("",) * 200), [0, 1], seed=0)).all()


def test_cost_order_decides_who_is_cheapest(text_table: Make) -> None:
    router = fit_router(text_table(), [1, 0])
    assert router.models == ("big", "small")
    assert router.score(["integral tree", "simple tree"]).max() < 0.5


def test_queries_of_two_templates_are_not_judged_by_the_other(text_table: Make) -> None:
    """Numbers are all that differs within a template, so each is one group of near-duplicates."""
    table = text_table(rows=200)
    hard = np.arange(200) % 2 == 0
    text = tuple(
        f"Prove in detail that theorem {i} holds" if h else f"What is {i} plus {i + 2} in words"
        for i, h in enumerate(hard)
    )
    quality = np.stack([np.where(hard, 0.0, 1.0), np.ones(200)], axis=1)
    table = replace(table, text=text, quality=quality)
    assert len(set(near_duplicates(text))) == 2
    score = held_out_scores(table, [0, 1], seed=0)
    assert score[hard].min() > score[~hard].max()
    assert np.bincount(folds_of(table, 0)).tolist() == [40] * 5


def test_near_duplicates_share_a_fold(text_table: Make) -> None:
    table = text_table(rows=90)
    words = np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), (30, 12))
    stems = [" ".join(row) for row in words]
    text = tuple(f"{stems[i // 3]} {i}" for i in range(90))
    fold = folds_of(replace(table, text=text), 0)
    assert (fold[0::3] == fold[1::3]).all()
    assert (fold[0::3] == fold[2::3]).all()


def test_whole_tasks_are_held_out(text_table: Make) -> None:
    task = tuple("abcdef"[i % 6] for i in range(200))
    fold = folds_of(replace(text_table(), task=task), 0, by_task=True)
    assert all(len({fold[i] for i in range(200) if task[i] == name}) == 1 for name in "abcdef")
