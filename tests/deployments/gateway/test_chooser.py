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
from boute.deployments.gateway.chooser import MAX_ATTEMPTS, Choice, Chooser
from boute.deployments.gateway.errors import RequestError
from boute.deployments.options import KeyLimits
from boute.errors import DataError
from boute.plan.model import DialStep
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


def _table(*, quality: Any = None, **queries: Any) -> QualityTable:
    """Sixty queries, of which the small model answers every other."""
    if quality is None:
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


def priced(live: Callable[..., Any], prices: list[float], **changes: Any) -> Any:
    update = {"policy": "utility", "thresholds": [], "prices": prices, "dial": []} | changes
    return live().model_copy(update={"routing": live().routing.model_copy(update=update)})


PRICES = st.lists(st.floats(-10, 100), min_size=3, max_size=3)


@shared
@given(PRICES, st.sampled_from([(0.5, 0.3, 0.2), (0.5, 0.0, 0.5), (0.0, 1.0, 0.0)]))
def test_utility_is_quality_less_the_price_of_the_expected_tokens(
    live: Callable[..., Any], text_router: Router, prices: list[float], fractions: Any
) -> None:
    made = Chooser(priced(live, prices, fractions=list(fractions)), text_router)
    for text in ("hi", "hard " * 100, ""):
        expected = text_router.predict([text])
        worth = {
            name: expected.quality[0, index]
            - prices[index] * expected.output_tokens[0, index] / 1e3
            for index, name in enumerate(("small", "mid", "big"))
            if fractions[index] > 0
        }
        choice = made.choose(query(text=text), {}, None)
        assert choice.model == max(worth, key=worth.__getitem__)
        assert choice.score == pytest.approx(text_router.score([text])[0])
        assert not choice.above


def test_of_two_that_are_level_the_cheaper_answers(live: Callable[..., Any]) -> None:
    router = fit_router(_table(text=("hi", "hard") * 30, quality=np.full((60, 3), 0.5)), [0, 1, 2])
    made = Chooser(priced(live, [0.0, 0.0, 0.0]), router)
    assert made.choose(query(text="hi"), {}, None).model == "small"


def test_a_router_s_own_order_of_models_does_not_matter(live: Callable[..., Any]) -> None:
    quality = np.zeros((60, 3))
    quality[:, 1] = 1.0
    router = fit_router(_table(text=("hi", "hard") * 30, quality=quality), [2, 1, 0])
    assert Chooser(priced(live, [0, 0, 0]), router).choose(query(), {}, None).model == "mid"


def test_what_cannot_be_priced_goes_to_the_dearest_that_is_asked(
    live: Callable[..., Any], text_router: Router, given_router: Callable[..., Router]
) -> None:
    free = priced(live, [0.0, 0.0, 0.0], fractions=[0.5, 0.5, 0.0])
    assert Chooser(free, text_router).choose(query(text=None), {}, None).model == "mid"
    assert Chooser(free, None).choose(query(), {}, None).model == "mid"
    scored = Chooser(free, given_router(("small", "mid", "big"))).choose(query(), score(0.1), None)
    assert (scored.model, scored.score) == ("mid", 0.1)


def test_a_dial_of_prices(live: Callable[..., Any], text_router: Router) -> None:
    dial = [
        DialStep(quality=0.5, thresholds=[], prices=[0.0, 1e6, 1e6]),
        DialStep(quality=0.9, thresholds=[], prices=[1e6, 1e6, 0.0]),
    ]
    made = Chooser(priced(live, [1e6, 0.0, 1e6], dial=dial), text_router)
    names = {"boute": "mid", "boute-0.5": "small", "boute-0.8": "big"}
    assert {name: made.choose(query(name), {}, None).model for name in names} == names


def test_a_router_that_cannot_price_the_plan_s_models_is_refused(
    live: Callable[..., Any],
) -> None:
    names = ("small", "mid", "huge")
    table = QualityTable(
        "made", names, np.ones((60, 3)), output_tokens=np.ones((60, 3)), text=("hi", "ho") * 30
    )
    with pytest.raises(DataError, match="no prediction for big"):
        Chooser(priced(live, [0, 0, 0]), fit_router(table, [0, 1, 2]))


@pytest.fixture(scope="module")
def text_router() -> Router:
    return fit_router(_table(text=("hi", "hard " * 100) * 30), [0, 1, 2])


def climbed(made: Chooser, choice: Choice) -> list[tuple[str, float]]:
    found = [(choice.model, choice.least)]
    while choice.above:
        choice = made.next(choice)
        found.append((choice.model, choice.least))
    return found


@pytest.mark.parametrize(
    ("changes", "ladder"),
    [
        ({}, [("small", 0.5), ("mid", 0.4), ("big", 0.0)]),
        ({"loads": [1.0, 0.0, 0.5]}, [("small", 0.5), ("big", 0.0)]),
        ({"loads": [0.0, 0.0, 1.0]}, [("big", 0.0)]),
        ({"loads": [1.0, 0.5, 0.0]}, [("small", 0.5), ("mid", 0.0)]),
        # All answers pass, and none can.
        ({"thresholds": [0.0, 0.4]}, [("small", 0.0)]),
        ({"thresholds": [0.5, -1.0]}, [("small", 0.5), ("mid", 0.0)]),
        ({"thresholds": [1.1, 1.0]}, [("mid", 1.0), ("big", 0.0)]),
    ],
)
def test_a_cascade_asks_those_that_have_queries_in_order_of_cost(
    cascade: Callable[..., Any], changes: Any, ladder: Any
) -> None:
    made = Chooser(cascade(**changes), None)
    choice = made.choose(query(text=None), {}, None)
    assert climbed(made, choice) == ladder
    assert (choice.score, choice.routed) == (None, True)


def test_a_dial_of_confidence(cascade: Callable[..., Any]) -> None:
    dial = [
        DialStep(quality=0.4, thresholds=[0.1, 0.0]),
        DialStep(quality=0.8, thresholds=[0.9, 0.7]),
    ]
    made = Chooser(cascade(dial=dial), None)
    assert climbed(made, made.choose(query("boute-0.3"), {}, None)) == [("small", 0.1), ("mid", 0)]
    dear = made.choose(query(), {}, KeyLimits(quality=0.8))
    assert climbed(made, dear) == [("small", 0.9), ("mid", 0.7), ("big", 0)]
    assert climbed(made, made.choose(query("mid"), {}, None)) == [("mid", 0)]


def test_a_checked_model_that_fails_leaves_the_rest_to_the_next(
    cascade: Callable[..., Any],
) -> None:
    made = Chooser(cascade(), None)
    choice = made.choose(query(), {}, None)
    seen = []
    for _ in range(3):
        seen.append([f"{each.pool}{'*' * bool(each.pause_s)}" for each in made.attempts(choice)])
        choice = made.next(choice) if choice.above else choice
    assert seen == [
        ["small-a", "small-a*"],
        ["mid-a", "mid-b", "mid-a*"],
        ["big-a"] + ["big-a*"] * 5,
    ]


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
