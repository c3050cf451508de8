"""What a sampler is: something that is asked for candidates and told what came of them.

Its answers depend on nothing but its seed and what it was told, in order: that is what lets a
study be resumed by telling a fresh sampler what the study holds. It may be told trials it never
asked for (of another sampler, or of a process beside it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from boute.errors import InputError
from boute.optimizer.problem import Problem
from boute.optimizer.trial import Candidate, Trial

if TYPE_CHECKING:
    from boute.optimizer.start import Start

__all__ = ["SAMPLERS", "Sampler", "check_sampler", "make_sampler"]


class Sampler(Protocol):
    """Ask and tell over a problem: points of its unit cube, or decisions where no point will do."""

    def ask(self, count: int) -> Sequence[Candidate]:
        """Up to `count` candidates to try next; none when the sampler expects nothing more."""
        ...

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take in a batch of trials: rejected points and repeats included."""
        ...


def _mobo(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.mobo import Mobo

    return Mobo(problem, seed)


def _mobo_gp(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.mobo import Mobo, Recipe

    return Mobo(problem, seed, Recipe(surrogate=True))


def _nsga2(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.nsga2 import Nsga2

    return Nsga2(problem, seed)


def _sobol(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.sobol import Sobol

    return Sobol(problem, seed)


def _exact(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.exact import Exact

    return Exact(problem, seed)


def _tpe(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.optuna import Optuna

    return Optuna(problem, seed, "tpe")


def _gp(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.optuna import Optuna

    return Optuna(problem, seed, "gp")


def _bilevel(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.bilevel import Bilevel

    return Bilevel(problem, seed)


def _sequential(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.baselines import sequential_plans
    from boute.optimizer.ranked import Ranked

    return Ranked(problem, sequential_plans(problem))


def _single_model(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.baselines import single_model_plans
    from boute.optimizer.ranked import Ranked

    return Ranked(problem, single_model_plans(problem))


def _single_gpu(problem: Problem, seed: int) -> Sampler:
    from boute.optimizer.baselines import single_gpu_plans
    from boute.optimizer.ranked import Ranked

    return Ranked(problem, single_gpu_plans(problem))


SAMPLERS: dict[str, Callable[[Problem, int], Sampler]] = {
    "mobo": _mobo,
    "mobo-gp": _mobo_gp,
    "exact": _exact,
    "nsga2": _nsga2,
    "sobol": _sobol,
    "optuna-tpe": _tpe,
    "optuna-gp": _gp,
    "bilevel": _bilevel,
    "sequential": _sequential,
    "single-model": _single_model,
    "single-gpu": _single_gpu,
}


def check_sampler(name: str) -> str:
    """The name of a sampler that exists; raise InputError for another."""
    if name not in SAMPLERS:
        raise InputError(
            f"unknown sampler {name}", where="--sampler", mend=f"choose {', '.join(SAMPLERS)}"
        )
    return name


def make_sampler(name: str, problem: Problem, seed: int, start: Start | None = None) -> Sampler:
    """A sampler by name, with what it is started from; raise InputError for an unknown one."""
    sampler = SAMPLERS[check_sampler(name)](problem, seed)
    if start is None:
        return sampler
    from boute.optimizer.start import Started

    return Started(sampler, start.first)
