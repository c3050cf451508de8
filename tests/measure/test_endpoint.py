"""The client against a server that is really there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from boute.errors import BouteError, InputError, ServingError
from boute.measure.answer import Answer
from boute.measure.endpoint import Endpoint, connect

Serve = Callable[..., str]


def ask(
    url: str, *shapes: tuple[int, int], key: str | None = None
) -> tuple[Endpoint, list[Answer]]:
    async def run() -> tuple[Endpoint, list[Answer]]:
        async with connect(url, "tiny", vocab_size=100, api_key=key, seed=0) as endpoint:
            return endpoint, [await endpoint.complete(*shape) for shape in shapes]

    return asyncio.run(run())


def test_lengths_are_as_asked_with_token_ids(serve: Serve) -> None:
    endpoint, answers = ask(serve() + "/v1/", (5, 3), (40, 20))
    assert [(a.input_tokens, a.output_tokens) for a in answers] == [(5, 3), (40, 20)]
    assert [len(a.chunk_s) for a in answers] == [3, 20]
    for answer in answers:
        assert list(answer.chunk_s) == sorted(answer.chunk_s)
        assert 0 < answer.ttft_s < answer.e2e_s
    assert (endpoint.max_model_len, endpoint.kv_tokens, endpoint.engine) == (64, 640, "vLLM 9.9")


@pytest.mark.parametrize("refuses", ["no-token-ids", "no-ignore-eos"])
def test_words_are_sent_where_token_ids_are_refused(serve: Serve, refuses: str) -> None:
    _, (answer,) = ask(serve(refuses), (30, 4))
    assert answer.input_tokens == pytest.approx(30, abs=3)
    assert answer.output_tokens == 4


def test_an_endpoint_need_not_tell_its_room(serve: Serve) -> None:
    endpoint, _ = ask(serve("no-metrics"))
    assert endpoint.kv_tokens is None
    assert endpoint.engine is None


@pytest.mark.parametrize(
    ("options", "room", "engine"),
    [(["ingress"], 640, "vLLM 640"), (["ingress", "torn"], None, None)],
)
def test_engines_behind_an_ingress_are_asked_there(
    serve: Serve, options: list[str], room: int | None, engine: str | None
) -> None:
    endpoint, _ = ask(serve(*options))
    assert (endpoint.kv_tokens, endpoint.engine) == (room, engine)


def test_requests_sent_together_share_steps(serve: Serve) -> None:
    async def run() -> list[Answer]:
        async with connect(serve(), "tiny", vocab_size=100, api_key=None, seed=0) as endpoint:
            return await endpoint.together(4, 8, 30)

    answers = asyncio.run(run())
    assert len(answers) == 4
    assert max(a.sent_s for a in answers) < min(a.chunk_s[-1] for a in answers)


@pytest.mark.parametrize(
    ("option", "kind", "says"),
    [
        ("no-usage", ServingError, "tells no usage"),
        ("no-models", ServingError, "lists no models"),
        ("no-completions", ServingError, "refuses /completions: only chat here"),
        ("error-in-stream", ServingError, "out of memory"),
        ("key", InputError, "refuses the key .* --api-key-env"),
    ],
)
def test_endpoints_of_no_use_are_told(
    serve: Serve, option: str, kind: type[BouteError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        ask(serve(option))


def test_a_key_is_sent(serve: Serve) -> None:
    _, answers = ask(serve("key"), (4, 2), key="secret")
    assert len(answers) == 1


def test_an_endpoint_that_is_not_there_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ServingError, match="cannot be reached"):
            ask(f"http://127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(InputError, match="not a URL"):
        ask("localhost:8000")


def test_a_model_that_is_not_there_is_told(serve: Serve) -> None:
    async def run() -> None:
        async with connect(serve(), "tinny", vocab_size=100, api_key=None, seed=0):
            pass

    with pytest.raises(InputError, match="no model 'tinny'; did you mean tiny"):
        asyncio.run(run())
