"""What a log tells of one start: the facts of each of its processes, in seconds and moments.

A log may be of several starts, engines and workers, cut short, or go on after the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from boute.startup.lines import LogLine
from boute.startup.wordings import Fact, Kind, Settings, facts_of, settings_of, version_of

__all__ = ["ProcessFacts", "StartLog", "gather"]


@dataclass
class ProcessFacts:
    """What one process told: seconds added up by kind, and the first and last moment of each."""

    seconds: dict[Kind, float] = field(default_factory=lambda: defaultdict(float))
    first_s: dict[Kind, float] = field(default_factory=dict)
    last_s: dict[Kind, float] = field(default_factory=dict)
    kinds: set[Kind] = field(default_factory=set)

    def add(self, fact: Fact, at_s: float | None) -> None:
        """Take in a fact and the moment at which it was told."""
        self.kinds.add(fact.kind)
        if fact.kind == "compiled_so_far_s":
            self.seconds[fact.kind] = max(self.seconds[fact.kind], fact.seconds or 0.0)
        elif fact.seconds is not None:
            self.seconds[fact.kind] += fact.seconds
        if at_s is not None:
            self.first_s.setdefault(fact.kind, at_s)
            self.last_s[fact.kind] = at_s

    def told(self, *kinds: Kind) -> float | None:
        """Seconds of the first of the kinds that was told."""
        return next((self.seconds[kind] for kind in kinds if kind in self.seconds), None)

    def between(self, begin: Kind, *ends: Kind) -> float | None:
        """Seconds between two moments, by the first of `ends` that comes after the beginning."""
        begin_s = self.first_s.get(begin)
        if begin_s is None:
            return None
        after = [at_s for end in ends if (at_s := self.first_s.get(end, -1.0)) >= begin_s]
        return min(after) - begin_s if after else None


@dataclass
class StartLog:
    """All that a log told of one start."""

    first_s: float | None = None
    ready_s: float | None = None
    processes: dict[str, ProcessFacts] = field(default_factory=lambda: defaultdict(ProcessFacts))
    settings: list[Settings] = field(default_factory=list)
    version: str | None = None
    kinds: set[Kind] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def gather(lines: Iterable[LogLine]) -> StartLog:
    """The first start that gets ready, or the last one of a log in which none does."""
    log = StartLog()
    now_s: float | None = None
    for line in lines:
        if line.seconds is not None:
            now_s = max(line.seconds, line.seconds if now_s is None else now_s)
        facts = facts_of(line.text)
        if any(fact.kind == "launch" for fact in facts) and "engine" in log.kinds:
            if "ready" in log.kinds:
                log.notes.append("the log goes on with another start, which is not read")
                break
            log = StartLog(notes=["of several starts in the log the first that got ready is read"])
            now_s = line.seconds
        if log.first_s is None:
            log.first_s = line.seconds
        log.version = log.version or version_of(line.text[:300])
        for fact in facts:
            log.kinds.add(fact.kind)
            log.processes[line.process].add(fact, line.seconds)
            if fact.kind == "engine":
                log.settings.append(settings_of(line.text))
            if fact.kind == "ready" and log.ready_s is None:
                log.ready_s = now_s  # the web server writes no time of its own
        # Nothing of a start comes after its end, but a second engine's end may.
        if "ready" in log.kinds and _is_over(log):
            break
    return log


def _is_over(log: StartLog) -> bool:
    """Whether every engine that began has told how long it took."""
    begun = [process for process in log.processes.values() if "engine" in process.kinds]
    return all("engine_s" in process.kinds for process in begun)
