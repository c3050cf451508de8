"""The plans that a search has tried, and the front of them."""

from __future__ import annotations

from typing import Final

import numpy as np

from boute.optimizer.draft import Draft, draft_of
from boute.optimizer.problem import Problem
from boute.optimizer.trial import Trial, undominated
from boute.workload.arrays import Floats

__all__ = ["LESSONS", "Tried"]

LESSONS: Final = 256
"""Trials that a surrogate is fitted to: its cost grows with their cube."""


class Tried:
    """Trials that are plans, by their decisions, in the order in which they came."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._trials: dict[str, Trial] = {}
        self._best: list[Trial] | None = None
        self.drafts: set[Draft] = set()

    def __len__(self) -> int:
        return len(self._trials)

    def add(self, trial: Trial) -> Draft | None:
        """Keep a trial; its draft, or None where it is no plan."""
        if trial.decision is None:
            return None
        draft = draft_of(trial.decision, self._problem)
        self._trials[trial.decision.key] = trial
        self._best = None
        self.drafts.add(draft)
        return draft

    def best(self) -> list[Trial]:
        """Those that meet everything and that no other beats."""
        if self._best is None:
            self._best = undominated(self._trials.values())
        return self._best

    def front(self) -> Floats:
        """Normalised objectives [n, m] of the best."""
        values = [trial.values for trial in self.best()]
        return np.array(values, dtype=np.float64).reshape(-1, len(self._problem.objectives))

    def lessons(self) -> list[Trial]:
        """Trials to learn from: all while they are few, else the front and the newest."""
        trials = list(self._trials.values())
        if len(trials) <= LESSONS:
            return trials
        front = self.best()[:LESSONS]
        ids = {id(trial) for trial in front}
        newest = [trial for trial in reversed(trials) if id(trial) not in ids]
        return front + newest[: LESSONS - len(front)]
