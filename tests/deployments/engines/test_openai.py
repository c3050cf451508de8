"""The relay to an endpoint: what is sent, what is passed on, and what is the endpoint's fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from boute.deployments.engines.base import Answer, EngineError, EngineRequest
from boute.deployments.engines.make import make_engine
from boute.deployments.engines.openai import OpenAIEngine
from boute.errors import PlanError
from boute.spec.family import ServedBy

REQUEST = EngineRequest("/v1/completions", b'{"model": "small", "prompt": "a"}', "r")


@dataclass
class Scripted:
    """An endpoint that answers as it is told and remembers what it was asked."""

    status: int = 200
    kind: str = "application/json"
    pieces: list[bytes] = field(default_factory=lambda: [b"{}"])
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["path"], headers, body))
        head = [(b"content-type", self.kind.encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        for piece in self.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module")
def scripted(serving: Callable[..., Any]) -> Iterator[tuple[Scripted, str]]:
    endpoint = Scripted()
    with serving(endpoint) as (port, _):
        yield endpoint, f"http://127.0.0.1:{port}/v1"


@pytest.fixture
def endpoint(scripted: tuple[Scripted, str]) -> Scripted:
    scripted[0].__init__()  # type: ignore[misc]
    return scripted[0]


@pytest.fixture
def url(scripted: tuple[Scripted, str]) -> str:
    return scripted[1]


def run(engine: OpenAIEngine, work: Callable[[], Any]) -> Any:
    async def started() -> Any:
        await engine.start()
        try:
            return await asyncio.wait_for(work(), 60)
        finally:
            await engine.stop()
            assert engine.unfinished() == 0

    return asyncio.run(started())


def stream(engine: OpenAIEngine) -> list[Answer | bytes]:
    async def items() -> list[Answer | bytes]:
        return [item async for item in engine.stream(REQUEST)]

    found: list[Answer | bytes] = run(engine, items)
    return found


def test_only_the_name_and_the_key_change(settings_of, endpoint, url, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sesame")
    served_by = ServedBy(engine="openai", base_url=url, model="gpt-large", api_key_env="SOME_KEY")
    engine = make_engine(settings_of("openai", served_by=served_by))
    endpoint.pieces = [b'{"model": ', b'"gpt-large", "usage": {}}']
    answer = run(engine, lambda: engine.answer(REQUEST))
    assert answer == Answer(200, b'{"model": "gpt-large", "usage": {}}')
    path, headers, body = endpoint.asked[0]
    assert path == "/v1/completions"
    assert headers["authorization"] == "Bearer sesame"
    assert json.loads(body) == {"model": "gpt-large", "prompt": "a"}


def test_without_a_name_of_its_own_the_plan_s_is_sent(settings_of, endpoint, url):
    engine = make_engine(settings_of("openai", served_by=ServedBy(engine="openai", base_url=url)))
    run(engine, lambda: engine.answer(REQUEST))
    _, headers, body = endpoint.asked[0]
    assert json.loads(body)["model"] == "tiny"
    assert "authorization" not in headers


def test_a_key_that_is_not_there_is_said(settings_of, monkeypatch):
    monkeypatch.delenv("SOME_KEY", raising=False)
    served_by = ServedBy(engine="openai", base_url="http://127.0.0.1:1/v1", api_key_env="SOME_KEY")
    with pytest.raises(PlanError, match="SOME_KEY"):
        make_engine(settings_of("openai", served_by=served_by))


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_is_passed_on(endpoint, url, status):
    endpoint.status, endpoint.pieces = status, [b'{"error": {"message": "no"}}']
    engine = OpenAIEngine(url, model="m")
    expected = Answer(status, b'{"error": {"message": "no"}}')
    assert run(engine, lambda: engine.answer(REQUEST)) == expected
    assert stream(engine) == [expected]


@pytest.mark.parametrize("status", [302, 401, 403, 404, 408, 429, 500, 502, 503])
def test_what_is_not_the_client_s_fault_is_an_engine_error(endpoint, url, status):
    endpoint.status = status
    engine = OpenAIEngine(url, model="m")
    with pytest.raises(EngineError, match=str(status)):
        run(engine, lambda: engine.answer(REQUEST))
    with pytest.raises(EngineError, match=str(status)):
        stream(engine)


def test_an_endpoint_that_is_not_there_is_an_engine_error():
    engine = OpenAIEngine("http://127.0.0.1:1/v1", model="m")
    with pytest.raises(EngineError, match="cannot be reached"):
        run(engine, lambda: engine.answer(REQUEST))
    with pytest.raises(EngineError, match="cannot be reached"):
        run(engine, engine.check)


def test_a_list_of_models_is_not_needed_to_be_well(endpoint, url):
    engine = OpenAIEngine(url, model="m")
    for status, well in [(200, True), (404, True), (401, False), (503, False)]:
        endpoint.status = status
        if well:
            run(engine, engine.check)
        else:
            with pytest.raises(EngineError, match=str(status)):
                run(engine, engine.check)


def test_events_that_come_in_pieces_are_passed_on_whole(endpoint, url):
    endpoint.kind = "text/event-stream; charset=utf-8"
    endpoint.pieces = [b'data: {"a"', b": 1}\n", b'\ndata: {"b": 2}\n\ndata: [DO', b"NE]\n\n"]
    items = stream(OpenAIEngine(url, model="m"))
    assert items[0] == Answer(200, media_type="text/event-stream")
    assert all(isinstance(item, bytes) and item.endswith(b"\n\n") for item in items[1:])
    assert b"".join(items[1:]) == b"".join(endpoint.pieces)


@pytest.mark.parametrize(
    "pieces", [[], [b"data: {}\n\n"], [b"data: {}\n\n", b"data: [DONE]"], [b": nothing\n\n"]]
)
def test_a_stream_without_an_end_is_an_engine_error(endpoint, url, pieces):
    endpoint.kind, endpoint.pieces = "text/event-stream", pieces
    with pytest.raises(EngineError, match="broke"):
        stream(OpenAIEngine(url, model="m"))


def test_a_whole_answer_to_a_stream_is_an_engine_error(endpoint, url):
    with pytest.raises(EngineError, match="does not stream"):
        stream(OpenAIEngine(url, model="m"))
    assert endpoint.asked


def test_an_error_in_the_first_event_is_a_refusal_or_an_engine_error(endpoint, url):
    endpoint.kind = "text/event-stream"
    for code, refused in [(400, True), (500, False), ('"overloaded"', False)]:
        error = b'{"error": {"message": "no", "code": %b}}' % str(code).encode()
        endpoint.pieces = [b"data: %b\n\ndata: [DONE]\n\n" % error]
        engine = OpenAIEngine(url, model="m")
        if refused:
            assert stream(engine) == [Answer(400, error)]
        else:
            with pytest.raises(EngineError, match="failed"):
                stream(engine)


def test_an_error_in_a_later_event_is_an_engine_error(endpoint, url):
    endpoint.kind = "text/event-stream"
    later = b'data: {"error": {"message": "no", "code": 400}}\n\ndata: [DONE]\n\n'
    endpoint.pieces = [b'data: {"text": "data: {\\"error\\""}\n\n', later]
    with pytest.raises(EngineError, match="gave up"):
        stream(OpenAIEngine(url, model="m"))
