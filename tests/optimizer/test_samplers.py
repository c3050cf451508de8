"""What every sampler promises, and what each one is.

A sampler may end: once it has nothing more to ask for it asks for nothing, whatever it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.stats import qmc

from boute.context import Context
from boute.errors import InputError
from boute.optimizer.assemble import assemble, price_per_hour
from boute.optimizer.encoding import Point
from boute.optimizer.inventory import Inventory
from boute.optimizer.pareto import hypervolume
from boute.optimizer.problem import Problem
from boute.optimizer.sampler import SAMPLERS, Sampler, make_sampler
from boute.optimizer.trial import Candidate, Trial
from boute.plan.decision import Decision

Tried = Callable[..., list[Trial]]
Limited = Callable[[Context, list[int], float | None], Context]

SEED = 11


# Those that list plans of one kind or of a small case: the seed changes nothing there.
LISTS = {"exact", "sequential", "single-gpu", "single-model"}


@pytest.fixture(params=sorted(SAMPLERS))
def name(request: pytest.FixtureRequest) -> str:
    if str(request.param).startswith("optuna"):
        pytest.importorskip("optuna")
    return str(request.param)


@pytest.fixture(scope="session")
def problem(context: Context, limited: Limited) -> Problem:
    """The small problem with fewer GPUs, so that it can be listed too."""
    return Problem(limited(context, [3, 4], 40.0))


@pytest.fixture(scope="session")
def again(problem: Problem) -> Callable[[], Problem]:
    """The same problem, made anew as another process would."""
    return lambda: Problem(problem.context)


def run(
    sampler: Sampler, problem: Problem, tried: Tried, batches: Sequence[int]
) -> list[list[Trial]]:
    """Ask, evaluate and tell; the trials of each batch."""
    told = []
    for count in batches:
        trials = tried(problem, points=list(sampler.ask(count)))
        sampler.tell(trials)
        told.append(trials)
    return told


def volume(trials: Sequence[Trial]) -> float:
    return hypervolume(np.array([trial.values for trial in trials if trial.feasible]))


def check_candidates(candidates: Sequence[Candidate], problem: Problem, most: int) -> None:
    assert len(candidates) <= most
    for candidate in candidates:
        if isinstance(candidate, Decision):
            check_decision(candidate, problem)
            continue
        point = candidate
        assert isinstance(point, tuple)
        assert len(point) == problem.encoding.dimensions
        assert all(type(value) is float and 0.0 <= value <= 1.0 for value in point)


def check_decision(decision: Decision, problem: Problem) -> None:
    """It is made of options of the table, within inventory, nodes and budget."""
    context = problem.context
    placed = {problem.table.option(pool): pool.replicas for pool in decision.pools}
    inventory = Inventory(context.supplies)
    for option in sorted(placed, key=lambda option: -option.gpus):
        assert inventory.take(option.gpu, option.gpus, placed[option]) == placed[option]
    budget = context.spec.targets.budget_per_hour
    assert budget is None or price_per_hour(placed) <= budget * (1.0 + 1e-9)
    assert assemble(context, decision.routing, placed).key == decision.key


def has_ended(name: str, sampler: Sampler) -> bool:
    """Whether a list is through, or nothing more is expected: it then asks for nothing."""
    return name in {*LISTS, "mobo"} and not sampler.ask(1)


def identity(problem: Problem, candidates: Sequence[Candidate]) -> list[object]:
    """What tells candidates apart."""
    return [found.key if isinstance(found, Decision) else found for found in candidates]


def test_candidates_are_sound_and_at_most_as_many_as_asked(
    name: str, problem: Problem, tried: Tried
) -> None:
    sampler = make_sampler(name, problem, SEED)
    for count in (1, 7, 8, 5, 3):
        candidates = sampler.ask(count)
        check_candidates(candidates, problem, count)
        assert candidates or has_ended(name, sampler)
        assert len(set(identity(problem, candidates))) == len(candidates)
        sampler.tell(tried(problem, points=list(candidates)))


def test_asking_changes_nothing(name: str, problem: Problem) -> None:
    sampler = make_sampler(name, problem, SEED)
    first = list(sampler.ask(4))
    assert list(sampler.ask(4)) == first
    assert list(sampler.ask(6))[:4] == first


def test_seeds_differ_where_there_is_chance(name: str, problem: Problem) -> None:
    asked = [make_sampler(name, problem, seed).ask(20) for seed in (1, 2, 3)]
    keys = [identity(problem, candidates) for candidates in asked]
    assert all(other == keys[0] for other in keys) == (name in LISTS)


@pytest.mark.parametrize("batches", [[8, 8, 8, 4], [3, 8, 30]], ids=str)
def test_a_fresh_sampler_told_the_same_asks_the_same(
    name: str,
    batches: list[int],
    problem: Problem,
    again: Callable[[], Problem],
    tried: Tried,
) -> None:
    """It is how a study is resumed: in another process, nothing is left but what was told."""
    sampler = make_sampler(name, problem, SEED)
    told = run(sampler, problem, tried, batches)
    resumed = make_sampler(name, again(), SEED)
    for trials in told:
        resumed.tell(trials)
    assert list(resumed.ask(8)) == list(sampler.ask(8))


def test_trials_of_others_rejections_and_repeats_are_taken_in(
    name: str, problem: Problem, tried: Tried
) -> None:
    strangers = tried(problem, 12)
    feasible_point = strangers[0].point
    rejected = rejections(problem)
    sampler = make_sampler(name, problem, SEED)
    sampler.tell([])
    sampler.tell(strangers[:5])
    sampler.tell([*rejected, *strangers[:2]])
    own = run(sampler, problem, tried, [8, 8])
    sampler.tell(own[0])
    sampler.tell(strangers[5:])
    candidates = sampler.ask(8)
    check_candidates(candidates, problem, 8)
    assert candidates or has_ended(name, sampler)
    assert feasible_point not in candidates


def rejections(problem: Problem) -> list[Trial]:
    from boute.optimizer.decoder import Rejection

    size = problem.encoding.dimensions
    reason = Rejection("budget", "costs too much", 0.5)
    return [problem.rejected((value,) * size, reason) for value in (0.21, 0.22)]


def test_it_goes_on_where_most_points_are_no_plan(
    name: str, context_of: Callable[..., Context], tried: Tried
) -> None:
    """A budget with room for little but the small model."""
    gpus = {"l40s": {"count": 4}, "h100-sxm": {"count": 4}}
    problem = Problem(context_of(gpus=gpus, targets={"budget_per_hour": 9.0}))
    sampler = make_sampler(name, problem, SEED)
    told = [trial for batch in run(sampler, problem, tried, [8] * 5) for trial in batch]
    assert len(told) >= 16 or has_ended(name, sampler)
    assert any(trial.feasible for trial in told)
    if name == "sobol":  # the only one that neither looks before it asks nor learns from it
        assert any(trial.rejection is not None for trial in told)


def test_it_makes_progress(name: str, problem: Problem, tried: Tried) -> None:
    sampler = make_sampler(name, problem, SEED)
    batches = run(sampler, problem, tried, [8] * 6)
    volumes = [
        volume([trial for batch in batches[:count] for trial in batch]) for count in (1, 3, 6)
    ]
    # A list begins with what the estimate likes best, which may be the best of its kind.
    assert 0.0 < volumes[0] <= volumes[1] <= volumes[2] <= 1.0
    assert name in LISTS or volumes[0] < volumes[2]


def test_mobo_beats_chance_at_equal_evaluations(problem: Problem, tried: Tried) -> None:
    found = []
    for name in ("sobol", "mobo"):
        batches = run(make_sampler(name, problem, SEED), problem, tried, [8] * 4)
        found.append(volume([trial for batch in batches for trial in batch]))
    assert found[0] < found[1]


def test_sobol_is_scipys_sequence(problem: Problem, tried: Tried) -> None:
    asked = run(make_sampler("sobol", problem, SEED), problem, tried, [8, 5, 3])
    points = [trial.point for batch in asked for trial in batch]
    theirs = qmc.Sobol(problem.encoding.dimensions, scramble=True, rng=SEED).random(16)
    assert points == [tuple(float(value) for value in row) for row in theirs]


def test_nsga2_is_pymoos_own_run(problem: Problem, tried: Tried) -> None:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.optimize import minimize

    from boute.optimizer.nsga2 import POPULATION

    asked: list[Point] = []

    class Plans(PymooProblem):
        def __init__(self) -> None:
            super().__init__(
                n_var=problem.encoding.dimensions,
                n_obj=len(problem.objectives),
                n_ieq_constr=1,
                xl=0.0,
                xu=1.0,
            )

        def _evaluate(self, x: np.ndarray, out: dict[str, np.ndarray], *_: object) -> None:
            points = [tuple(float(value) for value in row) for row in x]
            asked.extend(points)
            trials = tried(problem, points=points)
            assert all(trial.rejection is None for trial in trials)
            out["F"] = np.array([trial.values for trial in trials])
            out["G"] = np.array([[trial.violation] for trial in trials])

    minimize(Plans(), NSGA2(pop_size=POPULATION), ("n_gen", 3), seed=SEED, verbose=False)
    sampler = make_sampler("nsga2", problem, SEED)
    ours = run(sampler, problem, tried, [8] * (3 * POPULATION // 8))
    assert [trial.point for batch in ours for trial in batch] == asked


def test_nsga2_goes_on_when_its_next_generation_is_known(problem: Problem, tried: Tried) -> None:
    """Another search on the study, of the same seed, was ahead."""
    from boute.optimizer.nsga2 import POPULATION

    ahead = run(make_sampler("nsga2", problem, SEED), problem, tried, [POPULATION] * 2)
    behind = make_sampler("nsga2", problem, SEED)
    behind.tell(ahead[1])
    behind.tell(ahead[0])
    points = behind.ask(8)
    check_candidates(points, problem, 8)
    assert points
    known = {trial.point for batch in ahead for trial in batch}
    assert not known & set(points)


def test_an_unknown_sampler_is_named_with_those_there_are(problem: Problem) -> None:
    with pytest.raises(
        InputError, match=r"unknown sampler grid; choose mobo, mobo-gp, exact, nsga2, sobol"
    ) as info:
        make_sampler("grid", problem, 0)
    assert info.value.where == "--sampler"
