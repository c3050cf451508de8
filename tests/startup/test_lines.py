"""Prefixes, colours and clocks of log lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.startup.lines import read_lines


@pytest.mark.parametrize(
    ("line", "process"),
    [
        ("INFO 11-25 14:20:31 [core.py:123] hello", ""),
        ("INFO 11-25 14:20:31 core.py:123] hello", ""),
        ("DEBUG 11-25 14:20:31.250 [v1/engine/core.py:123] hello", ""),
        ("(EngineCore pid=7) INFO 11-25 14:20:31 [core.py:123] hello", "EngineCore 7"),
        ("(EngineCore_DP0 pid=7) INFO 11-25 14:20:31 [core.py:123] hello", "EngineCore_DP0 7"),
        ("(VllmWorker rank=1 pid=7) INFO 11-25 14:20:31 [core.py:123] hello", "VllmWorker 7"),
        ("(pid=7) INFO 11-25 14:20:31 [core.py:123] hello", "7"),
        (
            "(RayWorkerWrapper pid=7, ip=10.0.0.2) INFO 11-25 14:20:31 [core.py:123] hello",
            "RayWorkerWrapper 7 10.0.0.2",
        ),
        (
            "(Replica pid=1) (EngineCore pid=7) INFO 11-25 14:20:31 [core.py:123] hello",
            "EngineCore 7",
        ),
        ("\x1b[1;36m(EngineCore pid=7)\x1b[0;0m \x1b[32mINFO\x1b[0m 11-25 14:20:31 "
         "[core.py:123] hello", "EngineCore 7"),
        ("prod-a: INFO 11-25 14:20:31 [core.py:123] hello", ""),
    ],
)  # fmt: skip
def test_what_stands_before_the_text(line: str, process: str) -> None:
    (read,) = read_lines([line])
    assert (read.seconds, read.process, read.text) == (0.0, process, "hello")


def seconds_of(lines: list[str]) -> list[float | None]:
    return [line.seconds for line in read_lines(lines)]


def test_a_clock_of_whole_seconds_over_new_year() -> None:
    lines = ["INFO 12-31 23:59:58 [a.py:1] a", "text", "INFO 01-01 00:00:03 [a.py:1] b"]
    assert seconds_of(lines) == [0.0, None, 5.0]


@pytest.mark.parametrize(
    "prefix",
    [
        "2026-05-01T19:15:{:06.3f}Z ",
        "2026-05-01T19:15:{:06.3f}+00:00 stdout F ",
        "2026-05-01 21:15:{:06.3f} | ",
        "[2026-05-01T19:15:{:06.3f}Z] ",
    ],
)
def test_a_container_s_clock_is_finer(prefix: str) -> None:
    lines = [
        prefix.format(1.5) + "+ vllm serve m",
        prefix.format(3.75) + "(EngineCore pid=7) INFO 05-01 21:15:03 [core.py:1] a",
        prefix.format(4.0) + "INFO:     Application startup complete.",
    ]
    assert seconds_of(lines) == [0.0, 2.25, 2.5]


def test_a_date_of_another_program_is_no_clock() -> None:
    lines = [
        "2025-07-25 02:39:18,099\tINFO worker.py:1843 -- Started a local Ray instance.",
        "INFO 07-25 04:39:22 [a.py:1] a",
        "INFO 07-25 04:39:24 [a.py:1] b",
    ]
    assert seconds_of(lines) == [None, 0.0, 2.0]


@pytest.mark.parametrize("time", ["13-01 00:00:00", "02-30 00:00:00", "01-01 24:00:00"])
def test_what_cannot_be_is_no_time(time: str) -> None:
    assert seconds_of([f"INFO {time} [a.py:1] a"]) == [None]


@given(st.lists(st.text()))
def test_any_text_is_read_line_by_line(lines: list[str]) -> None:
    assert len(list(read_lines(lines))) == len(lines)
