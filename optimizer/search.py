"""The search loop: ask, decode, evaluate what is new, record, tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from boute.optimizer.decoder import Rejection
from boute.optimizer.pareto import hypervolume
from boute.optimizer.problem import Problem
from boute.optimizer.sampler import Sampler
from boute.optimizer.study import Batch, Study
from boute.optimizer.trial import Candidate, Trial
from boute.optimizer.workers import Evaluator
from boute.outcome import Outcome
from boute.plan.decision import Decision

__all__ = ["Limits", "Search", "Step"]

# Points asked together. It does not follow the number of workers, so that the same seed gives the
# same front on any machine.
BATCH: Final = 8

# Batches in a row without a new plan after which the space counts as exhausted.
_PATIENCE: Final = 50


@dataclass(frozen=True)
class Limits:
    """When to stop: evaluations in the study, and the clock (`time.monotonic`) if any."""

    evaluations: int
    deadline_s: float | None = None

    def are_over(self) -> bool:
        """Whether the clock has passed the deadline."""
        return self.deadline_s is not None and time.monotonic() >= self.deadline_s


@dataclass(frozen=True)
class Step:
    """Where a search stands after an evaluation."""

    evaluations: int
    hypervolume: float
    trial: Trial


@dataclass
class Search:
    """One run of a sampler on a study.

    `trials` holds everything that was tried, in order, repeats left out; `steps` how the
    hypervolume grew; `rejections` counts points that are no plan by the constraint that binds;
    `ended` says whether the sampler had nothing more to ask for.
    """

    problem: Problem
    study: Study
    sampler: Sampler
    workers: Evaluator
    name: str
    seed: int
    on_step: Callable[[Step], None] = lambda step: None
    trials: list[Trial] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    rejections: dict[str, int] = field(default_factory=dict)
    nearest: Rejection | None = None
    ended: bool = False
    _limits: Limits = Limits(0)
    _known: dict[str, Outcome] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _last_batch: int = 0
    _others: list[Batch] = field(default_factory=list)
    _volume: float = 0.0
    _front: list[np.ndarray] = field(default_factory=list)

    def run(self, limits: Limits) -> None:
        """Take up what the study holds, then go on to the limits."""
        self._limits = limits
        self._known = self.study.outcomes()
        for batch in self.study.batches():
            self._finish(batch)
            self._last_batch = batch.id
        idle = 0
        while idle < _PATIENCE and (left := limits.evaluations - len(self._seen)) > 0:
            if limits.are_over():
                return
            candidates = list(self.sampler.ask(min(BATCH, left)))
            if not candidates:
                self.ended = True
                return
            before = len(self._seen)
            batch = self.study.add_batch(self.name, self.seed, candidates)
            self._finish(batch)
            self._take_up_others(batch)
            idle = idle + 1 if len(self._seen) == before else 0

    def _take_up_others(self, own: Batch) -> None:
        """Learn what another process has added to the study meanwhile."""
        added = self.study.batches(after=self._last_batch)
        self._last_batch = added[-1].id
        self._others += [batch for batch in added if batch.id != own.id]
        if not self._others:
            return
        self._known = self.study.outcomes()
        complete = [batch for batch in self._others if self._is_complete(batch)]
        self._others = [batch for batch in self._others if batch not in complete]
        for batch in complete:
            self._finish(batch)

    def _is_complete(self, batch: Batch) -> bool:
        found = [self.problem.decode(candidate) for candidate in batch.candidates]
        return all(isinstance(f, Rejection) or f.key in self._known for f in found)

    def _finish(self, batch: Batch) -> None:
        """Evaluate what is not known of a batch, record it, and tell the sampler."""
        fresh: dict[str, tuple[Candidate, Decision]] = {}
        for candidate in batch.candidates:
            found = self.problem.decode(candidate)
            if not isinstance(found, Rejection) and found.key not in self._known:
                fresh.setdefault(found.key, (candidate, found))
        decisions = [decision for _, decision in fresh.values()]
        outcomes = self.workers.outcomes(decisions, self.problem.judge)
        for (candidate, decision), outcome in zip(fresh.values(), outcomes, strict=True):
            point = self.problem.point_of(candidate)
            estimated = self.problem.estimator.estimate(decision).metrics
            self.study.add_trial(batch, point, decision, outcome, estimated)
            self._known[decision.key] = outcome
            self._note(self.problem.evaluated(point, decision, outcome))
        told = [self._trial(candidate) for candidate in batch.candidates]
        for trial in told:
            self._note(trial)
        if not self._limits.are_over():  # what it would prepare, nobody would ask for
            self.sampler.tell(told)

    def _trial(self, candidate: Candidate) -> Trial:
        point = self.problem.point_of(candidate)
        found = self.problem.decode(candidate)
        if isinstance(found, Rejection):
            return self.problem.rejected(point, found)
        return self.problem.evaluated(point, found, self._known[found.key])

    def _note(self, trial: Trial) -> None:
        """Keep a trial that is new, and the hypervolume with it."""
        if trial.rejection is not None:
            constraint = trial.rejection.constraint
            self.rejections[constraint] = self.rejections.get(constraint, 0) + 1
            if self.nearest is None or trial.rejection.shortfall < self.nearest.shortfall:
                self.nearest = trial.rejection
            return
        assert trial.decision is not None
        assert trial.values is not None
        if trial.decision.key in self._seen:
            return
        self._seen.add(trial.decision.key)
        self.trials.append(trial)
        if trial.feasible:
            self._front.append(trial.values)
            # In one order, so that the last digit does not tell in which order they came.
            self._volume = hypervolume(np.unique(self._front, axis=0))
        step = Step(len(self._seen), self._volume, trial)
        self.steps.append(step)
        self.on_step(step)
