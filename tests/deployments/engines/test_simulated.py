"""The simulated engine: its pace, its words and its refusals."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from boute.deployments.engines.base import Answer, EngineError, EngineRequest
from boute.deployments.engines.simulated import SimulatedEngine
from boute.deployments.engines.simulated_api import BadRequestError, parse


def request_of(path: str = "/v1/completions", name: str = "r", **fields: Any) -> EngineRequest:
    return EngineRequest(path, json.dumps(fields).encode(), name)


def run(engine: SimulatedEngine, work: Any) -> Any:
    async def started() -> Any:
        await engine.start()
        try:
            return await asyncio.wait_for(work(), 60)
        finally:
            await engine.stop()

    return asyncio.run(started())


def test_a_token_never_comes_before_it_is_due(settings_of, pace_of):
    engine = SimulatedEngine(settings_of(pace=pace_of(step_s=0.02)))

    async def arrivals() -> list[float]:
        clock = asyncio.get_running_loop().time
        begin_s, times = clock(), []
        request = request_of(prompt=[1, 2], max_tokens=8, stream=True)
        async for item in engine.stream(request):
            if isinstance(item, bytes):
                times.append(clock() - begin_s)
        return times

    times = run(engine, arrivals)
    # One step of 20 ms and 20 us of its one sequence for each token.
    for count, time_s in enumerate(times[:-1], start=1):
        assert time_s >= min(count, 8) * 0.02002 - 1e-3


def test_the_same_request_gets_the_same_words_and_says_who_speaks(settings_of):
    engine = SimulatedEngine(settings_of())

    async def twice() -> list[Any]:
        chat = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 6}
        names = ["a", "a", "b"]
        path = "/v1/chat/completions"
        return [await engine.answer(request_of(path, name, **chat)) for name in names]

    first, again, other = (json.loads(answer.body) for answer in run(engine, twice))
    said = [answer["choices"][0]["message"]["content"] for answer in (first, again, other)]
    assert said[0] == said[1] != said[2]
    assert len(said[0].split()) == 6
    assert first["system_fingerprint"] == "boute-simulated"
    assert first["id"] == "chatcmpl-a"


def test_what_clients_send_cannot_break_the_events(settings_of):
    name = '"}]}\n\ndata: @@ "index": 0'
    engine = SimulatedEngine(settings_of(model=name))

    async def items() -> list[Any]:
        request = request_of(name=name, prompt="hello", max_tokens=2, stream=True)
        return [item async for item in engine.stream(request)]

    text = b"".join(item for item in run(engine, items) if isinstance(item, bytes)).decode()
    events = text.removesuffix("\n\n").split("\n\n")
    assert [event.startswith("data: ") for event in events] == [True] * 3
    parsed = json.loads(events[0].removeprefix("data: "))
    assert (parsed["model"], parsed["id"]) == (name, f"cmpl-{name}")


def test_figures_count_tokens(settings_of):
    engine = SimulatedEngine(settings_of())

    async def figures() -> str:
        await engine.answer(request_of(prompt=[1, 2, 3], max_tokens=4))
        return await engine.metrics()

    lines = run(engine, figures).splitlines()
    # One more of each for the first request of start().
    assert 'simulated:prompt_tokens_total{model_name="tiny"} 4' in lines
    assert 'simulated:generation_tokens_total{model_name="tiny"} 5' in lines
    assert 'simulated:num_requests_running{model_name="tiny"} 0' in lines


def test_stopping_ends_requests_under_way(settings_of):
    engine = SimulatedEngine(settings_of())

    async def stop() -> None:
        request = request_of(prompt=[1], max_tokens=400)
        task = asyncio.create_task(engine.answer(request))
        while not engine.unfinished():
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        await engine.stop()
        with pytest.raises(EngineError, match="stopped"):
            await task
        assert engine.unfinished() == 0

    run(engine, stop)


def test_what_cannot_fit_its_cache_is_refused(settings_of, pace_of):
    engine = SimulatedEngine(settings_of(pace=pace_of(kv_blocks=4)))
    answer = run(engine, lambda: engine.answer(request_of(prompt=[1] * 60, max_tokens=10)))
    assert isinstance(answer, Answer)
    assert answer.status == 400
    assert "64 tokens" in json.loads(answer.body)["error"]["message"]


def test_without_a_pace_there_is_no_engine(settings_of):
    with pytest.raises(ValueError, match="pace"):
        SimulatedEngine(settings_of(pace=None))


@pytest.mark.parametrize(
    ("prompt", "lengths"),
    [
        ("twelve chars", (3,)),
        ("", (1,)),
        ([5, 6, 7], (3,)),
        (["one", "three more"], (1, 3)),
        ([[1], [1, 2]], (1, 2)),
    ],
)
def test_prompts_are_text_or_tokens_or_lists_of_them(prompt, lengths):
    assert parse(request_of(prompt=prompt), 100).prompts == lengths


def test_chat_counts_the_text_of_all_messages():
    messages = [
        {"role": "system", "content": "1234"},
        {"role": "user", "content": [{"type": "text", "text": "5678"}, {"type": "image_url"}]},
        {"role": "assistant", "content": None},
    ]
    assert parse(request_of("/v1/chat/completions", messages=messages), 100).prompts == (2,)


def test_the_length_of_an_answer():
    assert parse(request_of(prompt="a"), 500).max_tokens == 128
    assert parse(request_of(prompt=[1] * 10), 50).max_tokens == 40
    assert parse(request_of(prompt="a", max_tokens=7), 50).max_tokens == 7
    chat = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 7}
    both = request_of("/v1/chat/completions", max_completion_tokens=9, **chat)
    assert parse(both, 50).max_tokens == 9


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "a", "max_tokens": 2.5}, "max_tokens"),
        ({"prompt": "a", "max_tokens": 100}, "max_tokens"),
        ({"prompt": "a", "n": True}, "n"),
        ({"prompt": "a", "n": 129}, "n"),
        ({"prompt": "a", "stream": "yes"}, "stream"),
        ({"prompt": "a", "stream_options": {"include_usage": True}}, "stream_options"),
        ({"prompt": "a", "stream": True, "stream_options": 1}, "stream_options"),
        ({"prompt": [1] * 100}, None),
    ],
)
def test_wrong_fields_are_named(fields, param):
    with pytest.raises(BadRequestError) as raised:
        parse(request_of(**fields), 100)
    assert json.loads(raised.value.body)["error"]["param"] == param


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_log_probabilities_are_those_of_one_claim_an_answer(settings_of, path):
    engine = SimulatedEngine(settings_of())
    chat = path == "/v1/chat/completions"
    asked = {"messages": [{"role": "user", "content": "hi"}]} if chat else {"prompt": "hi"}
    asked |= {"logprobs": True if chat else 0, "max_tokens": 5}

    def of(choice: dict[str, Any]) -> list[float]:
        told = choice["logprobs"]
        return [token["logprob"] for token in told["content"]] if chat else told["token_logprobs"]

    async def both() -> Any:
        whole = await engine.answer(request_of(path, **asked))
        items = [item async for item in engine.stream(request_of(path, **asked, stream=True))]
        return json.loads(whole.body), [item for item in items if isinstance(item, bytes)]

    whole, items = run(engine, both)
    (choice,) = whole["choices"]
    claims = of(choice)
    assert len(claims) == 5
    assert len(set(claims)) == 1
    assert claims[0] < 0
    events = [json.loads(line[6:]) for line in b"".join(items).decode().split("\n\n")[:-2]]
    told = [event["choices"][0] for event in events if event["choices"][0]["logprobs"]]
    assert [claim for choice in told for claim in of(choice)] == claims


@pytest.mark.parametrize(
    ("path", "wrong"),
    [("/v1/chat/completions", 3), ("/v1/completions", True), ("/v1/completions", -1)],
)
def test_log_probabilities_are_asked_for_as_openai_has_it(path: str, wrong: Any) -> None:
    asked = {"messages": [{"role": "user", "content": "hi"}], "prompt": "hi", "logprobs": wrong}
    with pytest.raises(BadRequestError, match="logprobs"):
        parse(request_of(path, **asked), 100)
