"""What a search begins with instead of nothing: plans to try first, and what others have taught.

It is recorded in the study, so that a search that was killed goes on without the study or the plan
that it was started from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from boute.optimizer.codec import candidate_data, candidate_of, decision_data, decision_of_data
from boute.optimizer.problem import Problem
from boute.optimizer.sampler import Sampler
from boute.optimizer.trial import Candidate, Trial
from boute.plan.decision import Decision
from boute.spec.model import RunningPool

__all__ = ["Lesson", "Start", "Started", "start_of_text", "start_text"]


@dataclass(frozen=True, eq=False)
class Lesson:
    """A trial of another study: how far its estimate was from what was simulated there.

    `decision` is made of options of the new table, if of more GPUs than there are now; `rate_per_s`
    is the load that it was under. `estimated` and `found` hold metrics by name.
    """

    decision: Decision
    rate_per_s: float
    estimated: Mapping[str, float]
    found: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Start:
    """What a search is started from.

    `source` is the file it came from and `source_hash` that of its content, both empty where only
    the fleet that runs, `current`, is known. Of the `plans` that the source held, `carried` gave
    plans here, `whole` of them unchanged. `first` are asked for before anything else.
    """

    source: str
    source_hash: str
    plans: int
    carried: int
    whole: int
    current: tuple[RunningPool, ...] | None
    first: tuple[Candidate, ...]
    lessons: tuple[Lesson, ...]


class Started:
    """A sampler that asks for given candidates first, and then for what another asks for."""

    def __init__(self, sampler: Sampler, problem: Problem, first: Sequence[Candidate]) -> None:
        self.sampler: Final = sampler
        self._problem = problem
        self._first = first
        self._tried: set[str] = set()

    def ask(self, count: int) -> Sequence[Candidate]:
        """The first candidates that were not tried yet, as long as there are any."""
        waiting = [found for found in self._first if self._key(found) not in self._tried]
        return waiting[:count] or self.sampler.ask(count)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take in trials; the other sampler learns from all of them."""
        self._tried |= {trial.decision.key for trial in trials if trial.decision is not None}
        self.sampler.tell(trials)

    def _key(self, candidate: Candidate) -> str:
        found = self._problem.decode(candidate)
        assert isinstance(found, Decision), "what is to be tried first is a plan"
        return found.key


def start_text(start: Start) -> str:
    """A start as JSON."""
    return json.dumps(
        vars(start)
        | {
            "current": start.current and [pool.model_dump() for pool in start.current],
            "first": [candidate_data(candidate) for candidate in start.first],
            "lessons": [
                vars(lesson) | {"decision": decision_data(lesson.decision)}
                for lesson in start.lessons
            ],
        }
    )


def start_of_text(text: str) -> Start:
    """The start again; raise ValueError, TypeError or KeyError for what is none."""
    data: dict[str, Any] = json.loads(text)
    current = data.pop("current")
    first, lessons = data.pop("first"), data.pop("lessons")
    return Start(
        **data,
        current=None if current is None else tuple(map(RunningPool.model_validate, current)),
        first=tuple(map(candidate_of, first)),
        lessons=tuple(
            Lesson(**(lesson | {"decision": decision_of_data(lesson["decision"])}))
            for lesson in lessons
        ),
    )
