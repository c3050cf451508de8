from collections.abc import Callable

from boute.routing.explain import reasons
from boute.routing.table import QualityTable
from boute.routing.training import Recipe, fit_router


def test_the_word_that_decides_is_named_first(text_table: Callable[..., QualityTable]) -> None:
    router = fit_router(text_table(rows=400), [0, 1])
    found = reasons(router, "Integral of a tree, then another integral", 20)
    assert [abs(one.effect) for one in found] == sorted(
        (abs(o.effect) for o in found), reverse=True
    )
    first = next(reason for reason in found if reason.what.startswith("the word"))
    assert first.what == "the word 'integral'"
    assert first.effect > 0


def test_every_kind_can_be_asked(text_table: Callable[..., QualityTable]) -> None:
    router = fit_router(text_table(), [0, 1], Recipe("neighbours"))
    assert len(reasons(router, "integral tree", 5)) == 5
    assert reasons(router, "integral tree", 0) == []


def test_texts_without_words(text_table: Callable[..., QualityTable]) -> None:
    router = fit_router(text_table(), [0, 1])
    for text in ("", "???", "(a+b)*[c]\\d", "x" * 100_000):
        assert len(reasons(router, text, 4)) <= 4
