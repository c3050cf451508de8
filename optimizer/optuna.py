"""Optuna's TPE and Gaussian-process samplers behind ask and tell.

Optuna's samplers keep their place in a random stream. A study is therefore put together anew from
what was told whenever points are asked, seeded by how much that is, so that a resumed search asks
what an uninterrupted one would have.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from boute.errors import InputError
from boute.optimizer.encoding import Point
from boute.optimizer.problem import Problem
from boute.optimizer.trial import Trial

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

__all__ = ["Optuna"]

# Objectives of a point that is no plan: worse than any plan's reference, for TPE's ranking.
_REJECTED: Final = 2.0

# First points, by chance, and then one at a time: Optuna fits its processes anew for each.
_GP_STARTUP: Final = 16

# What a constraint has to be at most; Optuna ranks the infeasible by its excess.
_CONSTRAINT: Final = "missed"


class Optuna:
    """Points of one of Optuna's samplers. Raises InputError where Optuna is not installed."""

    def __init__(self, problem: Problem, seed: int, kind: Literal["tpe", "gp"]) -> None:
        try:
            import optuna  # noqa: F401
        except ImportError:
            raise InputError(
                f"optuna-{kind} needs Optuna, which is not installed",
                where="--sampler",
                mend="pip install 'boute[optuna]'",
            ) from None
        self._problem = problem
        self._seed = seed
        self._kind = kind
        self._names = [f"x{index:03d}" for index in range(problem.encoding.dimensions)]
        self._told: list[FrozenTrial] = []

    def ask(self, count: int) -> list[Point]:
        """The next points, each knowing of the one before that it is being tried.

        The Gaussian processes, which take seconds a point, are asked for one.
        """
        import optuna

        if self._kind == "gp":
            count = min(count, max(_GP_STARTUP - len(self._told), 1))

        with _quietly():
            study = optuna.create_study(
                directions=["minimize"] * len(self._problem.objectives), sampler=self._sampler()
            )
            study.add_trials(self._told)
            space = self._space()
            asked = [study.ask(space) for _ in range(count)]
        return [tuple(float(trial.params[name]) for name in self._names) for trial in asked]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take in points with their objectives, and their misses as a constraint."""
        from optuna.trial import create_trial

        for trial in trials:
            values = trial.values
            if values is None:
                values = np.full(len(self._problem.objectives), _REJECTED)
            with _quietly():
                told = create_trial(
                    params=dict(zip(self._names, trial.point, strict=True)),
                    distributions=self._space(),
                    values=[float(value) for value in values],
                    constraints={_CONSTRAINT: float(trial.violation)},
                )
            self._told.append(told)

    def _sampler(self) -> BaseSampler:
        from optuna.samplers import GPSampler, TPESampler

        seed = int(np.random.default_rng([self._seed, len(self._told)]).integers(2**31))
        if self._kind == "gp":
            return GPSampler(seed=seed, n_startup_trials=_GP_STARTUP, deterministic_objective=True)
        return TPESampler(seed=seed, multivariate=True)

    def _space(self) -> dict[str, object]:
        from optuna.distributions import FloatDistribution

        return {name: FloatDistribution(0.0, 1.0) for name in self._names}


@contextmanager
def _quietly() -> Iterator[None]:
    """Without a line for each study and warnings of what is experimental."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
