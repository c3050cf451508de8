from __future__ import annotations

import asyncio
import json
import resource
import socket
from typing import Any

import numpy as np
import pytest

from boute.bench.checks import CHECKS
from boute.bench.record import Record
from boute.bench.replay import Client, replay, served_models, server_url
from boute.bench.requests import BenchRequest
from boute.bench.results import Measured
from boute.errors import InputError


def request(
    prompt: str,
    *,
    at_s: float = 0.0,
    tokens: int = 3,
    chat: bool = True,
    stream: bool = True,
    answer: str | None = None,
) -> BenchRequest:
    text = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
    body = {"model": "boute", **text, "max_tokens": tokens, "stream": stream}
    path = "v1/chat/completions" if chat else "v1/completions"
    return BenchRequest(at_s, path, json.dumps(body).encode(), 5, tokens, answer)


def sent(client: Client, *requests: BenchRequest, **options: Any) -> list[Record]:
    return asyncio.run(replay(requests, client, **options))


@pytest.mark.parametrize("chat", [True, False])
def test_a_stream_is_measured_at_its_pace(server: Any, chat: bool) -> None:
    short, long, one = sent(
        Client(server.url),
        request("a b", chat=chat),
        request("a hard one", tokens=20, chat=chat),
        request("c", tokens=1, chat=chat),
    )
    assert [r.error for r in (short, long, one)] == ["", "", ""]
    assert [r.output_tokens for r in (short, long, one)] == [3, 20, 1]
    assert [r.input_tokens for r in (short, long, one)] == [2, 3, 1]
    assert [r.model for r in (short, long, one)] == ["small", "large", "small"]
    assert (long.pool, long.status, len(long.itl_s)) == ("large-pool", 200, 19)
    # The server sleeps 30 ms before the first token and 10 ms before each other.
    assert long.ttft_s is not None
    assert 0.029 < long.ttft_s <= long.e2e_s
    assert long.e2e_s > 0.21
    assert long.tpot_s == (long.e2e_s - long.ttft_s) / 19
    assert sum(long.itl_s) <= long.e2e_s - long.ttft_s
    assert one.tpot_s is None


@pytest.mark.parametrize("chat", [True, False])
def test_an_answer_may_come_whole(server: Any, chat: bool) -> None:
    (record,) = sent(Client(server.url), request("a hard b", chat=chat, stream=False))
    assert record.ok
    assert (record.ttft_s, record.tpot_s, record.itl_s) == (None, None, ())
    assert (record.input_tokens, record.output_tokens, record.model) == (3, 3, "large")


def test_every_way_to_fail_is_a_miss_with_its_reason(server: Any) -> None:
    prompts = ["refuse", "break", "cut", "error", "garbage", "fine", "hang"]
    records = sent(Client(server.url), *map(request, prompts[:-1]))
    records += sent(Client(server.url, timeout_s=0.5), request("hang"))
    reasons = {prompt: record.reason for prompt, record in zip(prompts, records, strict=True)}
    assert reasons == {
        "refuse": "HTTP 429",
        "break": "broken connection",
        "cut": "broken stream",
        "hang": "timeout",
        "error": "error in answer",
        "garbage": "bad answer",
        "fine": "",
    }
    assert records[0].error == "HTTP 429: too many"
    assert "engine died" in records[3].error
    measured = Measured(records, 1.0, {"e2e": 100.0})
    assert measured.slo_attainment == pytest.approx(1 / 7)
    assert sum(measured.reasons.values()) == 6


def test_a_server_that_is_gone_is_a_failure_of_each_request() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{free.getsockname()[1]}")
        records = sent(client, request("a"), request("b"))
    assert {record.reason for record in records} == {"no connection"}


def test_requests_arrive_as_the_trace_has_them(server: Any) -> None:
    count = 8
    at_s = np.arange(count) * 0.05
    # No answer begins before the last arrival: nobody waits for an earlier one.
    server.hold = count
    records = sent(Client(server.url), *(request(f"p{i}", at_s=at) for i, at in enumerate(at_s)))
    assert server.prompts == [f"p{i}" for i in range(count)]
    assert [record.arrival_s for record in records] == at_s.tolist()
    for record in records:
        assert record.ok
        assert record.sent_s >= record.arrival_s + record.client_lag_s


def test_thousands_of_streams_are_open_at_once(server: Any) -> None:
    count = 2000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * count + 200:
        pytest.skip(f"only {hard} files may be open")
    server.hold = count
    records = sent(Client(server.url), *(request(f"p{i}", tokens=2) for i in range(count)))
    assert sum(record.ok for record in records) == count
    assert {record.output_tokens for record in records} == {2}


def test_a_limit_of_concurrency_holds_requests_back(server: Any) -> None:
    requests = [request(f"p{i}") for i in range(6)]
    records = sent(Client(server.url, max_concurrency=2), *requests)
    spans = [(record.sent_s, record.sent_s + record.e2e_s) for record in records]
    assert max(sum(a <= at < b for a, b in spans) for at, _ in spans) <= 2
    # The wait for a place is no lateness of the client.
    assert records[-1].sent_s - records[-1].client_lag_s > 0.05


def test_warm_up_is_sent_before_and_not_counted(server: Any) -> None:
    records = sent(Client(server.url), request("a"), request("b"), warmup=1)
    assert server.prompts[0] == "a"
    assert sorted(server.prompts[1:]) == ["a", "b"]
    assert len(records) == 2


def test_answers_are_checked_and_each_record_is_heard_of(server: Any) -> None:
    heard: list[Record] = []
    records = sent(
        Client(server.url),
        request("say 42", answer="42"),
        request("say it is 41", answer="42"),
        request("say 7"),
        request("refuse", answer="42"),
        check=CHECKS["last-word"],
        done=heard.append,
    )
    assert [record.quality for record in records] == [1.0, 0.0, None, None]
    assert sorted(heard, key=records.index) == records


def test_the_key_goes_with_every_request_and_nowhere_else(server: Any) -> None:
    client = Client(server.url, api_key="secret")
    assert served_models(client) == ["boute", "small"]
    sent(client, request("a"))
    assert set(server.keys) == {"Bearer secret"}
    assert "secret" not in repr(client)


def test_a_server_that_cannot_be_asked_is_told_before_the_replay(server: Any) -> None:
    with pytest.raises(InputError, match=r"refuses the key.*--api-key-env"):
        served_models(Client(server.url, api_key="wrong"))
    with pytest.raises(InputError, match="cannot be reached"):
        served_models(Client("http://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://a:8000", "http://a:8000"),
        ("http://a:8000/v1/", "http://a:8000"),
        ("https://a/prefix/v1", "https://a/prefix"),
    ],
)
def test_an_address_may_end_in_v1(given: str, meant: str) -> None:
    assert server_url(given) == meant


@pytest.mark.parametrize("url", ["", "a:8000", "ftp://a", "http://", "http://a:x", "http://a?q=1"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="is no address of a server"):
        server_url(url)


def test_the_openai_client_talks_to_the_same_server(server: Any) -> None:
    """What the tests stand in for: a stream that OpenAI's own client reads the same way."""
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
    with client:
        chunks = list(
            client.chat.completions.create(
                model="boute",
                messages=[{"role": "user", "content": "say a b c"}],
                max_tokens=9,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    (record,) = sent(
        Client(server.url), request("say a b c", answer="a b c"), check=CHECKS["exact"]
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert (text, chunks[-1].usage.completion_tokens) == ("a b c", record.output_tokens)
    assert record.quality == 1.0
