from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boute.deployments.gateway.bodies import Query
from boute.deployments.gateway.chooser import MAX_ATTEMPTS, Chooser
from boute.deployments.gateway.errors import RequestError
from boute.deployments.options import KeyLimits
from boute.routing.router import Router
from boute.routing.table import QualityTable
from boute.routing.thresholds import route
from boute.routing.training import fit_router

scores = st.floats(0, 1)
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def query(model: str = "boute", text: str | None = "hi") -> Query:
    return Query("/v1/chat/completions", model, False, False, text, b"{}")


def score(value: float) -> dict[bytes, bytes]:
    return {b"x-boute-score": repr(value).encode()}


@pytest.fixture
def chooser(live: Callable[..., Any]) -> Callable[..., Chooser]:
    def make(**changes: Any) -> Chooser:
        config = live(**changes)
        return Chooser(config, Router.load(Path(config.router_folder)))

    return make


@shared
@given(st.lists(scores, min_size=2, max_size=2).map(sorted), st.data())
def test_models_are_chosen_as_the_planner_routes(
    live: Callable[..., Any], thresholds: list[float], data: st.DataObject
) -> None:
    config = live()
    routing = config.routing.model_copy(update={"thresholds": thresholds})
    made = Chooser(
        config.model_copy(update={"routing": routing}), Router.load(Path(config.router_folder))
    )
    given_scores = data.draw(st.lists(scores | st.sampled_from(thresholds), min_size=1))
    planned = [config.routing.models[index] for index in route(np.array(given_scores), thresholds)]
    assert [made.choose(query(), score(one), None).model for one in given_scores] == planned


@shared
@given(st.lists(scores, min_size=2, max_size=2, unique=True).map(sorted), scores)
def test_a_higher_setting_of_the_dial_never_gives_a_smaller_model(
    chooser: Callable[..., Chooser], settings_: list[float], hard: float
) -> None:
    made = chooser()
    low, high = (
        made.choose(query(f"boute-{setting:.6f}"), score(hard), None) for setting in settings_
    )
    assert made.models.index(low.model) <= made.models.index(high.model)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("boute-0", "small"),
        ("boute-0.5", "small"),
        ("boute-0.51", "mid"),
        ("boute-0.7", "mid"),
        ("boute-0.71", "big"),
        ("boute-0.95", "big"),
        ("boute-1", "big"),
        ("boute-1.0", "big"),
    ],
)
def test_the_dial_takes_the_cheapest_step_that_is_good_enough(
    chooser: Callable[..., Chooser], name: str, model: str
) -> None:
    assert chooser().choose(query(name), score(0.6), None).model == model


def test_without_a_dial_all_settings_are_the_plan_s(
    chooser: Callable[..., Chooser], live: Any
) -> None:
    routing = live().routing.model_copy(update={"dial": []})
    assert chooser(routing=routing).choose(query("boute-0.1"), score(0.6), None).model == "mid"


@pytest.mark.parametrize(
    "name",
    ["", "boute-", "boute-2", "boute-1.1", "boute--1", "boute-abc", "boute-0.8.1", "boute-1e-1",
     "boute-nan", "boute-٠", "BOUTE", "smal", "x" * 10_000, "\ud800"],
)  # fmt: skip
def test_names_that_there_are_not(chooser: Callable[..., Chooser], name: str) -> None:
    with pytest.raises(RequestError) as unknown:
        chooser().choose(query(name), score(0.5), None)
    assert unknown.value.status == 404
    assert unknown.value.code == "model_not_found"
    assert len(unknown.value.body) < 2000


def test_a_planned_model_without_pools_is_not_served(
    chooser: Callable[..., Chooser], live: Callable[..., Any]
) -> None:
    pools = [pool for pool in live().pools if pool.model != "mid"]
    made = chooser(pools=pools)
    with pytest.raises(RequestError, match="has no pool for the model mid"):
        made.choose(query("mid"), {}, None)
    # What the thresholds would give it goes to the next larger that there is.
    assert made.choose(query(), score(0.6), None).model == "big"
    without_big = chooser(pools=[pool for pool in live().pools if pool.model == "small"])
    assert without_big.choose(query(), score(0.9), None).model == "small"


def test_queries_of_a_model_are_dealt_by_weight(chooser: Callable[..., Chooser]) -> None:
    made = chooser()
    dealt = Counter(made.choose(query(), score(0.6), None).pool for _ in range(400))
    assert dealt == {"mid-a": 300, "mid-b": 100}


def test_keys_limit_names_and_set_the_dial(chooser: Callable[..., Chooser]) -> None:
    made = chooser()
    only = KeyLimits(models=["small", "boute"])
    assert made.choose(query("boute-0.9"), score(0.1), only).model == "big"
    with pytest.raises(RequestError, match="known models: boute, small"):
        made.choose(query("zzz"), {}, only)
    dear = KeyLimits(quality=0.9)
    assert made.choose(query(), score(0.1), dear).model == "big"
    assert made.choose(query("boute-0.5"), score(0.1), dear).model == "small"
    assert made.choose(query("small"), {}, dear).model == "small"


def test_without_a_score_the_best_model_answers(chooser: Callable[..., Chooser]) -> None:
    choice = chooser().choose(query(), {}, None)
    assert (choice.model, choice.score) == ("big", None)


@pytest.mark.parametrize("given", [b"", b"x", b"nan", b"inf", b"0.1,0.2", b"\xff", b"1" * 30_000])
def test_malformed_scores(chooser: Callable[..., Chooser], given: bytes) -> None:
    with pytest.raises(RequestError) as wrong:
        chooser().choose(query(), {b"x-boute-score": given}, None)
    assert (wrong.value.status, wrong.value.param) == (400, "x-boute-score")


def test_features_are_scored_in_their_order(live: Callable[..., Any]) -> None:
    table = _table(features=np.random.default_rng(0).random((60, 2)), feature_names=("f", "g"))
    router = fit_router(table, [0, 1, 2])
    made = Chooser(live(), router)
    choice = made.choose(query(), {b"x-boute-features": b"2, -1.5"}, None)
    assert choice.score == router.score(np.array([[2.0, -1.5]]))[0]
    for wrong in (b"1", b"1,2,3", b"1,x", b"1,inf", b",", b""):
        with pytest.raises(RequestError, match="2 numbers"):
            made.choose(query(), {b"x-boute-features": wrong}, None)


def test_texts_are_scored_by_what_they_say(live: Callable[..., Any]) -> None:
    router = fit_router(_table(text=("hi", "hard " * 100) * 30), [0, 1, 2])
    easy, hard = router.score(["hi", "hard " * 100])
    routing = live().routing.model_copy(update={"thresholds": [(easy + hard) / 2, 1.0]})
    made = Chooser(live(routing=routing), router)
    assert made.choose(query(text="hi"), score(1.0), None).model == "small"
    assert made.choose(query(text="hard " * 100), {}, None).model == "mid"
    assert made.choose(query(text=None), {}, None).score is None
    assert made.choose(query(text=""), {}, None).score == router.score([""])[0]


def _table(**queries: Any) -> QualityTable:
    """Sixty queries, of which the small model answers every other."""
    quality = np.ones((60, 3))
    quality[1::2, 0] = 0.0
    models = ("small", "mid", "big")
    return QualityTable("made", models, quality, output_tokens=np.ones((60, 3)), **queries)


def test_one_model_needs_no_score(live: Callable[..., Any]) -> None:
    routing = {"models": ["small"], "fractions": [1.0], "thresholds": []}
    pools = [pool for pool in live().pools if pool.model == "small"]
    made = Chooser(live(routing=routing, pools=pools, router_folder=None), None)
    choice = made.choose(query(), {}, None)
    assert (choice.model, choice.score) == ("small", None)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("boute", ["small-a", "small-a*", "mid-a", "mid-b", "big-a", "small-a*"]),
        ("mid", ["mid-a", "mid-b", "mid-a*", "mid-a*", "mid-a*", "mid-a*"]),
        ("big", ["big-a"] + ["big-a*"] * 5),
    ],
)
def test_who_is_asked_when_the_first_fails(
    chooser: Callable[..., Chooser], model: str, expected: list[str]
) -> None:
    made = chooser()
    choice = made.choose(query(model), score(0.1), None)
    attempts = list(made.attempts(choice))
    again = [f"{attempt.pool}{'*' if attempt.pause_s else ''}" for attempt in attempts]
    assert again == expected
    assert len(attempts) <= MAX_ATTEMPTS
    pauses = [attempt.pause_s for attempt in attempts if attempt.pause_s]
    assert pauses == [0.1 * 2**number for number in range(len(pauses))]
