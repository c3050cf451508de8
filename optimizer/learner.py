"""What to try next where looks are not exact: by a surrogate of how they differ from evaluations.

PyTorch is an extra (`boute[gp]`), and is imported with the first choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import numpy as np

from boute.errors import InputError
from boute.metrics import EXACT
from boute.optimizer.archive import Looked
from boute.optimizer.constraints import misses_of
from boute.optimizer.draft import decision_of_draft, draft_of
from boute.optimizer.features import Features
from boute.optimizer.local_search import LocalSearch
from boute.optimizer.problem import Problem
from boute.optimizer.trial import Trial
from boute.optimizer.tried import Tried
from boute.workload.arrays import Floats

if TYPE_CHECKING:
    from boute.optimizer.acquisition import Data

__all__ = ["Learner"]

SHORTLIST: Final = 64  # candidates that the acquisition compares in a round

# Expected gain in normalised hypervolume below which nothing more is asked for.
TOLERANCE: Final = 1e-7

_SMALLEST: Final = 1e-6  # of a metric that may be 0, where its logarithm is taken
_WORST_SURPRISE: Final = 3.0  # in log units: an unstable plan's latency has no upper end


class Learner:
    """Learns from the plans that were tried, on one level of looks."""

    def __init__(self, problem: Problem, tried: Tried, level: LocalSearch) -> None:
        """Raise InputError where BoTorch is not installed."""
        if find_spec("botorch") is None:
            raise InputError(
                "mobo-gp needs BoTorch, which is not installed",
                where="--sampler",
                mend="pip install 'boute[gp]'",
            )
        self._problem = problem
        self._tried = tried
        self._level = level
        self._features = Features(problem.context, problem.table)
        self._uncertain = [name for name in problem.wanted if name not in EXACT]

    def choose(self, count: int, rng: np.random.Generator) -> list[Looked] | None:
        """Up to `count` drafts with the largest expected gain, none where nothing gains.

        None where no draft of the archive is untried.
        """
        from boute.optimizer.acquisition import choose

        shortlist = self._shortlist(rng)
        if not shortlist:
            return None
        lessons = self._tried.lessons()
        tried = self._data([self._look(trial) for trial in lessons])
        choice = choose(
            tried,
            self._logs(lessons, tried.priors),
            self._data(shortlist),
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
        return [shortlist[index] for index in choice.chosen]

    def _shortlist(self, rng: np.random.Generator) -> list[Looked]:
        """Untried drafts that span the front of the looks, and others of the archive.

        The surrogate judges latencies alone, so what misses an exact limit is not for it.
        """
        tried, level = self._tried.drafts, self._level
        best = level.best(SHORTLIST // 2, without=tried)
        best = [found for found in best if not self._misses_exactly(found)]
        taken = {looked.draft for looked in best}
        rest = [found for found in level.archive.members
                if found.draft not in tried and found.draft not in taken]  # fmt: skip
        order = rng.permutation(len(rest))[: SHORTLIST - len(best)]
        return best + [rest[index] for index in order]

    def _misses_exactly(self, looked: Looked) -> bool:
        """Whether a draft misses a target by what is known before it is simulated."""
        targets = self._problem.context.spec.targets
        missed = misses_of(looked.metrics.__getitem__, 0.0, targets)
        return any(targets.limits()[name][0] in EXACT for name in missed)

    def _look(self, trial: Trial) -> Looked:
        assert trial.decision is not None
        return self._level.look(draft_of(trial.decision, self._problem))

    def _logs(self, trials: Sequence[Trial], priors: Floats) -> Floats:
        """Logarithms [n, U] of what was simulated, cut where surprise turns into nonsense."""
        rows = []
        for trial in trials:
            assert trial.outcome is not None
            rows.append([self._problem.value(trial.outcome, name) for name in self._uncertain])
        found = np.log(np.maximum(np.array(rows), _SMALLEST))
        cut: Floats = np.clip(found, priors - _WORST_SURPRISE, priors + _WORST_SURPRISE)
        return cut

    def _data(self, looked: Sequence[Looked]) -> Data:
        from boute.optimizer.acquisition import Data

        exact = np.array([name in EXACT for name in self._problem.objectives])
        priors = np.array([[found.metrics[name] for name in self._uncertain] for found in looked])
        decisions = [decision_of_draft(found.draft, self._problem) for found in looked]
        return Data(
            features=np.array([self._features.of(decision) for decision in decisions]),
            priors=np.log(np.maximum(priors, _SMALLEST)),
            known=np.where(exact, np.array([found.values for found in looked]), np.nan),
        )

    def _limits(self) -> list[tuple[int, float]]:
        limits = self._problem.context.spec.targets.latency_limits()
        return [(self._uncertain.index(name), float(np.log(limit)))
                for name, limit in limits.items()]  # fmt: skip
