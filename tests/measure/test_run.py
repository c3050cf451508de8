"""A whole measurement, for its structure: how long anything took is the machine's affair."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from boute.errors import InputError
from boute.measure.held_out import LOAD, Burst, compare
from boute.measure.run import Measurement, Target, measure

Serve = Callable[..., str]


def run(url: str, **changes: Any) -> Measurement:
    target = replace(Target(url=url, model="tiny", vocab_size=100), **changes)
    return asyncio.run(
        measure(target, concurrency=[1, 2, 4], seconds=0.3, seed=0, tell=lambda _: None)
    )


def test_a_measurement_has_all_parts(serve: Serve) -> None:
    found = run(serve())
    assert found.kv_tokens == 640
    assert found.engine == "vLLM 9.9"
    assert found.conditions.concurrency == [1, 2, 4]
    assert found.conditions.longest_tokens == 64
    assert found.conditions.rounds == 3
    burst = found.burst
    assert len(burst.answers) >= 20
    assert list(burst.arrival_s) == sorted(burst.arrival_s)
    assert burst.arrival_s[0] == 0
    assert set(burst.input_tokens) <= set(range(4, 33))
    assert set(burst.output_tokens) <= set(range(4, 17))


def test_what_the_user_says_goes_before_what_the_endpoint_says(serve: Serve) -> None:
    url = serve("no-metrics")
    assert run(url, kv_tokens=999).kv_tokens == 999
    with pytest.raises(InputError, match="--longest: is 65 tokens, the endpoint takes 64"):
        run(url, longest=65)
    with pytest.raises(InputError, match="too short"):
        run(url, longest=63)


def test_errors_of_what_is_held_out_are_of_quantiles(serve: Serve) -> None:
    burst: Burst = run(serve()).burst
    ttft_s = np.array([answer.ttft_s for answer in burst.answers])
    e2e_s = np.array([answer.e2e_s for answer in burst.answers])
    same = compare(burst, ttft_s, e2e_s)
    assert (same.ttft_p50_error, same.e2e_p50_error, same.e2e_request_error) == (0, 0, 0)
    assert same.load == LOAD
    more = compare(burst, 0.5 * ttft_s, 1.2 * e2e_s)
    assert more.ttft_p50_error == pytest.approx(-0.5)
    assert more.e2e_p95_error == pytest.approx(0.2)
    assert more.stated_error == pytest.approx(0.2)
    assert more.e2e_request_error == pytest.approx(0.2)
