from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boute.deployments.access_log import AccessLog
from boute.deployments.record import RequestRecord
from boute.errors import OutputError
from boute.workload.readers import read_trace


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_line_a_request(record: RequestRecord, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "access.jsonl"
    log = AccessLog(path, prompts=False)
    log.write(record)
    log.write(replace(record, request_id="s", outcome="timeout", status=504))
    log.close()
    log.close()
    first, second = lines(path)
    assert first == {
        "request_id": "r",
        "arrival": 1_760_000_000.123456,
        "plan": "plan-01",
        "model": "small",
        "pool": "small-l4",
        "score": 0.5,
        "asked_model": "boute",
        "status": 200,
        "outcome": "ok",
        "stream": True,
        "attempts": 1,
        "ttft_s": 0.5,
        "e2e_s": 2.5,
        "input_tokens": 10,
        "output_tokens": 5,
        "confidence": None,
        "discarded": 0,
        "paid_input_tokens": 10,
        "paid_output_tokens": 5,
    }
    assert (second["request_id"], second["input_tokens"]) == ("s", None)


def test_prompts_only_when_asked_for(record: RequestRecord, tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "a.jsonl", prompts=True)
    log.write(record)
    log.close()
    assert lines(tmp_path / "a.jsonl")[0]["prompt"] == record.prompt


def test_no_path_no_log(record: RequestRecord, tmp_path: Path) -> None:
    log = AccessLog(None, prompts=False)
    log.write(record)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_lines_are_written_before_the_log_is_closed(record: RequestRecord, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    log = AccessLog(path, prompts=False)
    log.write(record)
    until(lambda: len(lines(path)) == 1)
    written = lines(path)
    log.close()
    assert written == lines(path)


def test_a_file_that_was_renamed_is_followed_by_a_new_one(
    record: RequestRecord, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    log = AccessLog(path, prompts=False)
    log.write(record)
    until(lambda: path.exists() and len(lines(path)) == 1)
    path.rename(tmp_path / "a.1.jsonl")
    log.write(replace(record, request_id="s"))
    log.close()
    assert [line["request_id"] for line in lines(path)] == ["s"]
    assert [line["request_id"] for line in lines(tmp_path / "a.1.jsonl")] == ["r"]


def test_a_log_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another access_log"):
        AccessLog(tmp_path / "file" / "a.jsonl", prompts=False)


def test_a_log_that_cannot_be_written_later_costs_lines_and_nothing_else(
    record: RequestRecord, tmp_path: Path
) -> None:
    path = tmp_path / "logs" / "a.jsonl"
    log = AccessLog(path, prompts=False)
    path.unlink()
    path.parent.rmdir()
    log.write(record)
    until(lambda: not log._waiting)
    path.parent.mkdir()
    log.write(replace(record, request_id="s"))
    log.close()
    assert "s" in [line["request_id"] for line in lines(path)]


def test_the_log_is_a_trace(record: RequestRecord, tmp_path: Path) -> None:
    """In the order in which requests end, with some that were not answered."""
    rng = np.random.default_rng(0)
    arrival_s = 1_760_000_000.0 + np.sort(rng.uniform(0.0, 100.0, 50)).round(6)
    records = [
        replace(
            record,
            request_id=str(i),
            arrival_unix_s=float(arrival_s[i]),
            e2e_s=float(rng.uniform(0.1, 30.0)),
            input_tokens=i + 1,
            output_tokens=2 * i + 1,
        )
        for i in range(50)
    ]
    for i, changes in {
        0: {"outcome": "refused", "model": None, "pool": None},
        10: {"outcome": "engine_error", "output_tokens": 3},
        20: {"outcome": "cancelled", "input_tokens": None},
        30: {"input_tokens": None, "output_tokens": None},
        40: {"output_tokens": 0},
    }.items():
        records[i] = replace(records[i], **changes)
    path = tmp_path / "access.jsonl"
    log = AccessLog(path, prompts=False)
    for record in sorted(records, key=lambda one: one.arrival_unix_s + one.e2e_s):
        log.write(record)
    log.close()
    trace = read_trace(path)
    kept = [i for i in range(50) if i % 10 or i == 0][1:]
    assert trace.input_tokens.tolist() == [i + 1 for i in kept]
    assert trace.output_tokens.tolist() == [2 * i + 1 for i in kept]
    np.testing.assert_allclose(trace.arrival_s, arrival_s[kept] - arrival_s[kept[0]], atol=1e-6)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
def test_a_full_disk_is_logged_once(
    record: RequestRecord, caplog: pytest.LogCaptureFixture
) -> None:
    log = AccessLog(Path("/dev/full"), prompts=False)
    log.write(record)
    until(lambda: not log._waiting)
    log.write(record)
    log.close()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
