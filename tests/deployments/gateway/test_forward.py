from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from boute.deployments.engines.base import Answer, EngineError, EngineRequest
from boute.deployments.gateway.chooser import Attempt
from boute.deployments.gateway.errors import RequestError
from boute.deployments.gateway.forward import Opened, ask_stream, first_answer

REQUEST = EngineRequest("/v1/completions", b"{}", "r-1")
GOOD = Opened(Answer(200, b"{}"))
BUSY = Opened(Answer(429))
WRONG = Opened(Answer(400))


def ask_all(outcomes: dict[str, list[Any]], *pools: str) -> tuple[Any, list[str]]:
    """What comes of asking pools (`a*` is `a` again) that do these things, and who was asked."""
    asked: list[str] = []

    async def ask(attempt: Attempt) -> Opened:
        asked.append(attempt.pool)
        outcome = outcomes[attempt.pool].pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, Opened)
        return outcome

    attempts = [Attempt("m", pool[0], 0.001 if pool.endswith("*") else None) for pool in pools]
    try:
        return asyncio.run(first_answer(attempts, ask)), asked
    except RequestError as error:
        return error.status, asked


@pytest.mark.parametrize(
    ("outcomes", "result", "asked"),
    [
        ({"a": [GOOD]}, GOOD, "a"),
        ({"a": [WRONG]}, WRONG, "a"),
        ({"a": [EngineError(), GOOD], "b": [BUSY]}, GOOD, "aba"),
        ({"a": [BUSY], "b": [BUSY], "c": [GOOD]}, GOOD, "abc"),
        ({"a": [BUSY], "b": [EngineError()], "c": [BUSY]}, BUSY, "abc"),
        ({"a": [TimeoutError()], "b": [BUSY], "c": [TimeoutError()]}, 504, "abc"),
        ({"a": [EngineError()] * 3, "b": [BUSY], "c": [BUSY]}, 503, "abaca"),
    ],
)
def test_pools_are_asked_until_one_answers(
    outcomes: dict[str, list[Any]], result: Any, asked: str
) -> None:
    copies = {pool: list(things) for pool, things in outcomes.items()}
    assert ask_all(copies, "a", "b", "a*", "c", "a*") == (result, list(asked))


class Items:
    """A backend whose streams hold these items; an exception is raised."""

    def __init__(self, *items: Any) -> None:
        self.items = items
        self.closed = 0

    async def answer(self, request: EngineRequest) -> Answer:
        raise AssertionError("these items are for streams")

    async def stream(self, request: EngineRequest) -> AsyncIterator[Answer | bytes]:
        try:
            for item in self.items:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed += 1


def opened(*items: Any) -> tuple[Opened, Items]:
    backend = Items(*items)
    return asyncio.run(ask_stream(backend, REQUEST, 60)), backend


def test_a_stream_is_held_until_its_first_event() -> None:
    got, _ = opened(Answer(200), b"", b"one", b"two")
    assert (got.first, got.rest is None) == (b"one", False)
    assert not got.failed


def test_a_refusal_before_the_first_event_is_a_plain_answer() -> None:
    event = b'data: {"error": {"message": "x", "code": 400}}\n\n'
    for items in ((Answer(400, b"{}"),), (Answer(200), event), (Answer(200, b"whole"),)):
        got, backend = opened(*items)
        assert got.rest is None
        assert got.answer.body
        assert backend.closed == 1


@pytest.mark.parametrize(
    "items",
    [
        (),
        (b"no head",),
        (Answer(200),),
        (Answer(200), b""),
        (Answer(200), Answer(200)),
        (EngineError("gone"),),
        (Answer(200), EngineError("gone")),
    ],
    ids=repr,
)
def test_an_end_before_the_first_event_is_the_engine_s_failure(items: tuple[Any, ...]) -> None:
    backend = Items(*items)
    with pytest.raises(EngineError):
        asyncio.run(ask_stream(backend, REQUEST, 60))
    assert backend.closed == 1


def test_a_stream_that_does_not_begin_is_closed(pool: Callable[[str], Any]) -> None:
    backend = pool("a")
    backend.script.append("hang")
    with pytest.raises(TimeoutError):
        asyncio.run(ask_stream(backend, REQUEST, 0.01))
    assert (backend.running, backend.cancelled) == (0, 1)
