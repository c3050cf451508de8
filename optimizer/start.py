"""What a search begins with instead of nothing: plans that another found, to be tried first.

It is recorded in the study, so that a search that was killed goes on without the study or the plan
that it was started from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from boute.optimizer.codec import decision_data, decision_of_data
from boute.optimizer.sampler import Sampler
from boute.optimizer.trial import Candidate, Trial
from boute.plan.decision import Decision
from boute.spec.model import RunningPool

__all__ = ["Start", "Started", "start_of_text", "start_text"]


@dataclass(frozen=True, eq=False)
class Start:
    """What a search is started from.

    `source` is the file it came from and `source_hash` that of its content, both empty where only
    the fleet that runs, `current`, is known. Of the `plans` that the source held, `carried` gave
    plans here, `whole` of them with every replica. `first` are asked for before anything else.
    """

    source: str
    source_hash: str
    plans: int
    carried: int
    whole: int
    current: tuple[RunningPool, ...] | None
    first: tuple[Decision, ...]


class Started:
    """A sampler that asks for given plans first, and then for what another asks for.

    The other is told when all of those were tried, so that nothing it prepares delays them.
    """

    def __init__(self, sampler: Sampler, first: Sequence[Decision]) -> None:
        self.sampler: Final = sampler
        self._waiting = {decision.key: decision for decision in first}
        self._held_back: list[Sequence[Trial]] = []

    def ask(self, count: int) -> Sequence[Candidate]:
        """The first plans that were not tried yet, as long as there are any."""
        return list(self._waiting.values())[:count] or self.sampler.ask(count)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take in trials, also for the other sampler."""
        for trial in trials:
            if trial.decision is not None:
                self._waiting.pop(trial.decision.key, None)
        self._held_back.append(trials)
        if not self._waiting:
            for batch in self._held_back:
                self.sampler.tell(batch)
            self._held_back = []


def start_text(start: Start) -> str:
    """A start as JSON."""
    current = start.current and [pool.model_dump() for pool in start.current]
    first = [decision_data(decision) for decision in start.first]
    return json.dumps(vars(start) | {"current": current, "first": first})


def start_of_text(text: str) -> Start:
    """The start again; raise ValueError, TypeError or KeyError for what is none."""
    data: dict[str, Any] = json.loads(text)
    current, first = data.pop("current"), data.pop("first")
    return Start(
        **data,
        current=None if current is None else tuple(map(RunningPool.model_validate, current)),
        first=tuple(map(decision_of_data, first)),
    )
