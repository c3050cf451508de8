from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from boute.performance.replica import Replica
from boute.simulation.chrome import chrome_trace
from boute.simulation.pool import PoolRun, simulate_pool


def trace_and_run(replica: Replica, **options: int) -> tuple[dict[str, Any], PoolRun]:
    random = np.random.default_rng(0)
    arrival_s = np.cumsum(random.exponential(0.05, 60))
    tokens = arrival_s, random.integers(1, 400, 60), random.integers(1, 50, 60)
    trace = chrome_trace("pool", replica, 2, *tokens, 7, **options)
    return json.loads(json.dumps(trace)), simulate_pool(replica, 2, *tokens, 7)


@pytest.mark.parametrize("stages", [1, 2])
def test_batches_and_requests_are_those_of_the_run(
    replica_of: Callable[..., Replica], stages: int
) -> None:
    trace, run = trace_and_run(replica_of(stages=stages), first_process=3)
    events = trace["traceEvents"]
    batches = [event for event in events if event["ph"] == "X"]
    assert len(batches) == run.steps * stages
    assert {event["pid"] for event in events} == {3, 4}
    assert {event["tid"] for event in batches} == set(range(stages))
    ends = {
        int(event["id2"]["local"], 16): event["ts"] / 1e6
        for event in events
        if event["ph"] == "e" and event["name"].startswith("request ")
    }
    np.testing.assert_allclose([ends[i] for i in range(60)], run.finish_s)
    assert trace["otherData"]["note"] == "complete"


def test_spans_open_and_close_and_nest(replica_of: Callable[..., Replica]) -> None:
    trace, _ = trace_and_run(replica_of())
    open_spans: dict[tuple[int, str], list[tuple[str, float]]] = {}
    for event in trace["traceEvents"]:
        if event["ph"] in "be":
            stack = open_spans.setdefault((event["pid"], event["id2"]["local"]), [])
            if event["ph"] == "b":
                stack.append((event["name"], event["ts"]))
            else:
                name, start = stack.pop()
                assert name == event["name"]
                assert start <= event["ts"]
    assert len(open_spans) == 60
    assert not any(open_spans.values())


def test_a_long_run_is_cut_with_a_note(replica_of: Callable[..., Replica]) -> None:
    trace, run = trace_and_run(replica_of(), max_batches=50)
    batches = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert 50 <= len(batches) < run.steps
    assert trace["otherData"]["note"].startswith("cut after 50 batches")


def test_requests_that_fail_are_named_in_the_note(replica_of: Callable[..., Replica]) -> None:
    tokens = np.array([0.0, 0.1]), np.array([10**6, 20]), np.array([5, 5])
    trace = chrome_trace("pool", replica_of(), 1, *tokens, 0)
    assert "1 requests exceed" in trace["otherData"]["note"]
    assert any(event["name"] == "request 1" for event in trace["traceEvents"])
