from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.routing.router import KINDS, Router, score_of
from boute.routing.table import QualityTable
from boute.routing.training import Recipe, fit_router

Make = Callable[..., QualityTable]
STRANGE = ["π" * 100_000, "\x00", "?" * 5000, "", "\udcff broken", "integral", " \n\t"]


@pytest.fixture(params=[kind for kind in KINDS if kind != "embedding"])
def router(text_table: Make, request: pytest.FixtureRequest) -> Router:
    return fit_router(text_table(), [0, 1], Recipe(request.param))


def test_every_text_gets_a_score_and_a_prediction(router: Router) -> None:
    score = router.score(STRANGE)
    assert ((score >= 0) & (score <= 1)).all()
    found = router.predict(STRANGE)
    assert found.quality.shape == (len(STRANGE), 2)
    assert ((found.quality >= 0) & (found.quality <= 1)).all()
    assert (found.quality_sd > 0).all()
    assert (found.output_low >= 1).all()
    assert (found.output_low <= found.output_high).all()


def test_a_query_scores_the_same_alone_and_in_a_batch(router: Router) -> None:
    alone = [router.score([text])[0] for text in STRANGE]
    batch = router.score(STRANGE * 10)[: len(STRANGE)].tolist()
    if router.kind == "lexical":
        assert alone == batch
    else:
        assert alone == pytest.approx(batch, abs=1e-5)


def test_it_knows_the_hard_queries(router: Router) -> None:
    hard, easy = router.score(["integral tree cat road", "simple tree cat road"])
    assert hard > easy + 0.05


def test_no_queries_have_no_scores(router: Router) -> None:
    assert router.score([]).shape == (0,)
    assert router.predict([]).quality.shape == (0, 2)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_score_is_the_mean_gain_moved_to_the_unit_interval(rows: list[list[float]]) -> None:
    quality = np.array(rows)
    gain = quality[:, 1:].mean(axis=1) - quality[:, 0]
    assert score_of(quality) == pytest.approx((1 + gain) / 2)


def test_one_model_has_one_score() -> None:
    assert score_of(np.array([[0.2], [0.9]])).tolist() == [0.5, 0.5]
