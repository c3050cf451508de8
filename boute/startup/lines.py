"""Lines of an engine's log: when each was written, by which process, and what it says.

vLLM writes `INFO 11-25 14:20:31 [core.py:123] text`, without a year and to the second. Around it
stand colours, the process (`(EngineCore pid=7)`, `(Worker_TP0 pid=9)`, Ray's `(RayWorkerWrapper
pid=4, ip=10.0.0.2)`) and what container runtimes put before each line. Their time is finer, and in
a zone of its own, so that one log is read by one clock only.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["LogLine", "read_lines"]

LONGEST_LINE: Final = 32_768
HALF_A_YEAR: Final = datetime.timedelta(days=182)
LEAP_YEAR: Final = datetime.timedelta(days=366)

_COLOUR: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# As docker, podman, kubectl and CRI write it, with a bar (Docker Desktop), in brackets (Buildkite).
_CONTAINER: Final = re.compile(
    r"\s*\[?(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"(?:Z|[+-]\d\d:?\d\d)?\]?\s+(?:\|\s*)?(?:std(?:out|err) [FP] )?"
)
_VLLM: Final = re.compile(
    r"\b(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) (\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r" \[?[\w./-]{1,200}:\d{1,7}\] ?"
)
_PROCESS: Final = re.compile(
    r"\(([^()=]{0,80}?)\s?(?:rank=\d+ )?pid=(\d{1,10})(?:, ip=([^()\s]+))?\)"
)


@dataclass(frozen=True)
class LogLine:
    """`seconds` counts from any moment, the same for all lines, and is None where none is told.

    `process` is empty where the line does not tell it.
    """

    seconds: float | None
    process: str
    text: str


def read_lines(lines: Sequence[str]) -> Iterator[LogLine]:
    """Make sense of each line; what is not vLLM's comes as text without a time."""
    parts = [_parts(line) for line in lines]
    # Ray's own lines begin with a date too, which does not make it the clock of the others.
    by_container = all(part.container for part in parts if part.logged)
    clock = _Clock(by_container=by_container)
    for part in parts:
        seconds = clock.read(part.container if by_container else part.logged)
        yield LogLine(seconds, part.process, part.text)


class _Parts(NamedTuple):
    """A line taken apart: the fields of both times where there are any."""

    container: tuple[str | None, ...] | None
    logged: tuple[str | None, ...] | None
    process: str
    text: str


def _parts(raw: str) -> _Parts:
    line = _COLOUR.sub("", raw[:LONGEST_LINE]).rstrip()
    container = _CONTAINER.match(line)
    rest = line[container.end() :] if container else line
    logged = _VLLM.search(rest[:1000])
    head = rest[: logged.start()] if logged else rest[:200]
    text = rest[logged.end() :] if logged else _PROCESS.sub("", rest, count=2).strip()
    return _Parts(
        container.groups() if container else None,
        logged.groups() if logged else None,
        _process(head),
        text,
    )


def _process(head: str) -> str:
    """The innermost of the processes named: Ray's stands before the engine's own."""
    found = _PROCESS.findall(head)
    return " ".join(part for part in found[-1] if part) if found else ""


class _Clock:
    """Seconds since the first time read, by the container's clock or by vLLM's."""

    def __init__(self, *, by_container: bool) -> None:
        self._by_container = by_container
        self._first: datetime.datetime | None = None

    def read(self, fields: tuple[str | None, ...] | None) -> float | None:
        if fields is None:
            return None
        try:
            when = _moment(fields)
        except ValueError:  # a 13th month: some other text
            return None
        if self._first is None:
            self._first = when
        elapsed = when - self._first
        if not self._by_container and elapsed < -HALF_A_YEAR:
            elapsed += LEAP_YEAR  # New Year's Eve has passed
        return elapsed.total_seconds()


def _moment(fields: tuple[str | None, ...]) -> datetime.datetime:
    """The time of a match; ValueError where there is no such day or hour."""
    *whole, fraction = fields
    *years, month, day, hour, minute, second = (int(number or 0) for number in whole)
    # vLLM leaves the year out: a leap year has every day that there is.
    year = years[0] if years else 2000
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    return datetime.datetime(year, month, day, hour, minute, second, micros)
