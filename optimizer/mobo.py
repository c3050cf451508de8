"""Multi-objective Bayesian optimization over routing and deployment together.

The first plans are the most promising of the analytic estimate, spread over its front, and a few
of pure chance. Then rounds: fit the surrogate to all that was simulated, gather candidates, and
take those with the largest expected gain in hypervolume. PyTorch is imported with the first such
round, when plans are already on the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import moocore
import numpy as np

from boute.metrics import EXACT
from boute.optimizer.candidates import CandidatePool, estimated_front
from boute.optimizer.features import Features
from boute.optimizer.pareto import nondominated, spread
from boute.optimizer.problem import Preview, Problem
from boute.optimizer.seeds import greedy_points, placements_of_ladder
from boute.optimizer.trial import Candidate, Trial
from boute.workload.arrays import Floats

if TYPE_CHECKING:
    from boute.optimizer.acquisition import Data

__all__ = ["Mobo"]

PROMISING: Final = 12  # first plans that the estimate likes
CHANCE: Final = 4  # first plans of pure chance, so that the surrogate sees where it is wrong
LESSONS: Final = 256  # trials that the surrogate is fitted to: its cost grows with their cube
SHORTLIST: Final = 64  # candidates that the acquisition compares in a round

# Expected gain in normalised hypervolume below which nothing more is asked for.
TOLERANCE: Final = 1e-7

_SMALLEST: Final = 1e-6  # of a metric that may be 0, where its logarithm is taken
_WORST_SURPRISE: Final = 3.0  # in log units: an unstable plan's latency has no upper end


class Mobo:
    """Asks for seeds, then for what promises the largest gain."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._seed = seed
        self._pool = CandidatePool(problem)
        self._features = Features(problem.context, problem.table)
        self._trials: dict[str, Trial] = {}
        self._first: list[Candidate] | None = None
        targets = problem.context.spec.targets
        uncertain = [name for name in problem.objectives if name not in EXACT]
        uncertain += [name for name in targets.latency_limits() if name not in uncertain]
        # There has to be something to learn: stability shows in the tail of E2E latency.
        self._uncertain = uncertain or ["e2e_p95_s"]

    def ask(self, count: int) -> list[Candidate]:
        """Seeds first; then the candidates with the largest expected gain, or none."""
        waiting = self._waiting()
        if waiting or len(self._trials) < 2:
            return waiting[:count]
        return self._promising(count)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from the trials that were evaluated.

        The pool grows here and not when asked, so that a fresh sampler that is told the same has
        the same pool.
        """
        for trial in trials:
            if trial.decision is not None:
                self._trials[trial.decision.key] = trial
        waiting = self._waiting()
        self._pool.keep(trials)
        if not waiting:
            self._grow()

    def _waiting(self) -> list[Candidate]:
        """First points that are not tried yet."""
        if self._first is None:
            self._first = self._first_points()
        return [found for found in self._first if not self._tried(found)]

    def _tried(self, candidate: Candidate) -> bool:
        return getattr(self._problem.decode(candidate), "key", None) in self._trials

    def _first_points(self) -> list[Candidate]:
        rng = np.random.default_rng([self._seed, 0])
        self._pool.add(greedy_points(self._problem))
        self._pool.add_plans(placements_of_ladder(self._problem))
        self._pool.add_random(256, seed=self._seed)
        by_chance = list(self._pool.previews.values())[-CHANCE:]
        self._pool.refine(rounds=6, count=150, rng=rng)
        front = estimated_front(list(self._pool.previews.values()))
        best = spread(np.array([preview.values for preview in front]), PROMISING) if front else []
        # The most balanced of the promising first: a user waits for the first feasible plan.
        first = [self._pool.candidate(front[index]) for index in best]
        chance = [self._pool.candidate(preview) for preview in by_chance]
        return first + [found for found in chance if found not in first]

    def _promising(self, count: int) -> list[Candidate]:
        from boute.optimizer.acquisition import choose

        rng = np.random.default_rng([self._seed, len(self._trials)])
        candidates = self._shortlist(rng)
        if not candidates:
            return []
        lessons = self._lessons()
        tried = list(lessons.values())
        previews = [self._pool.previews[key] for key in lessons]
        choice = choose(
            self._data(previews),
            self._logs(tried, previews),
            self._data(candidates),
            scale=self._problem.scale,
            uncertain={
                index: self._uncertain.index(name)
                for index, name in enumerate(self._problem.objectives)
                if name in self._uncertain
            },
            limits=self._limits(),
            split=(self._features.routing, self._features.deployment),
            count=count,
            seed=int(rng.integers(2**31)),
        )
        if choice.gain < TOLERANCE:
            return []
        return [self._pool.candidate(candidates[index]) for index in choice.chosen]

    def _lessons(self) -> dict[str, Trial]:
        """Trials to learn from: all while they are few, else the front and the newest."""
        if len(self._trials) <= LESSONS:
            return self._trials
        feasible = {key: trial for key, trial in self._trials.items() if trial.feasible}
        kept = nondominated(np.array([trial.values for trial in feasible.values()]))
        front = [key for key, keep in zip(feasible, kept, strict=True) if keep]
        newest = [key for key in reversed(self._trials) if key not in set(front)]
        chosen = {*front[:LESSONS], *newest[: max(LESSONS - len(front), 0)]}
        return {key: trial for key, trial in self._trials.items() if key in chosen}

    def _grow(self) -> None:
        """Add changes to the best of what was tried and of what the estimate likes, and chance."""
        rng = np.random.default_rng([self._seed, len(self._trials), 1])
        good = [trial for trial in self._trials.values() if trial.feasible]
        if good:
            keep = nondominated(np.array([trial.values for trial in good]))
            parents = [trial.point for trial, kept in zip(good, keep, strict=True) if kept]
            self._pool.add_changes(parents, 200, rng)
        self._pool.add_random(32, seed=int(rng.integers(2**31)))
        self._pool.refine(rounds=1, count=100, rng=rng)

    def _shortlist(self, rng: np.random.Generator) -> list[Preview]:
        """Untried plans near the front of the estimate, layer by layer."""
        untried = [p for key, p in self._pool.previews.items() if key not in self._trials]
        if len(untried) <= SHORTLIST:
            return untried
        values = np.array([np.append(p.values, p.violation) for p in untried])
        # Missing a target by estimate counts like an objective: the estimate may be wrong.
        layers = np.asarray(moocore.pareto_rank(values))
        order = np.lexsort((rng.random(len(untried)), layers))
        return [untried[index] for index in order[:SHORTLIST]]

    def _logs(self, trials: Sequence[Trial], previews: Sequence[Preview]) -> Floats:
        """Logarithms [n, U] of what was simulated, cut where surprise turns into nonsense."""
        rows = []
        for trial in trials:
            assert trial.outcome is not None
            rows.append([trial.outcome.value(name) for name in self._uncertain])
        prior = self._priors(previews)
        found = np.log(np.maximum(np.array(rows), _SMALLEST))
        cut: Floats = np.clip(found, prior - _WORST_SURPRISE, prior + _WORST_SURPRISE)
        return cut

    def _priors(self, previews: Sequence[Preview]) -> Floats:
        found = [[p.estimate.metrics[name] for name in self._uncertain] for p in previews]
        logs: Floats = np.log(np.maximum(np.array(found), _SMALLEST))
        return logs

    def _data(self, previews: Sequence[Preview]) -> Data:
        from boute.optimizer.acquisition import Data

        exact = np.array([name in EXACT for name in self._problem.objectives])
        values = np.array([preview.values for preview in previews])
        return Data(
            features=np.array([self._features.of(preview.decision) for preview in previews]),
            priors=self._priors(previews),
            known=np.where(exact, values, np.nan),
        )

    def _limits(self) -> list[tuple[int, float]]:
        limits = self._problem.context.spec.targets.latency_limits()
        return [(self._uncertain.index(name), float(np.log(limit)))
                for name, limit in limits.items()]  # fmt: skip
