"""A search that is started from something asks for that first, and is then the sampler it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.optimizer.problem import Problem
from boute.optimizer.sampler import Sampler, make_sampler
from boute.optimizer.start import Start, start_of_text, start_text
from boute.optimizer.trial import Trial
from boute.plan.decision import Decision
from boute.spec.model import RunningPool

SEED = 5


@pytest.fixture(scope="module")
def first(problem: Problem) -> tuple[Decision, ...]:
    points = np.random.default_rng(1).random((10, problem.encoding.dimensions))
    found = [problem.decode(tuple(map(float, point))) for point in points]
    decisions = {each.key: each for each in found if isinstance(each, Decision)}
    return tuple(decisions.values())


@pytest.fixture(scope="module")
def start(first: tuple[Decision, ...]) -> Start:
    running = RunningPool(model="llama-3.1-8b", gpu="l40s", replicas=2)
    return Start("old.db", "hash", 10, 9, 8, (running,), first)


def test_it_survives_its_text(start: Start) -> None:
    again = start_of_text(start_text(start))
    assert vars(again) == vars(start)
    nothing = Start("", "", 0, 0, 0, None, ())
    assert vars(start_of_text(start_text(nothing))) == vars(nothing)


@pytest.mark.parametrize("name", ["mobo", "nsga2", "sobol", "single-gpu"])
def test_a_sampler_that_is_started_asks_for_the_first_and_then_as_always(
    name: str,
    problem: Problem,
    start: Start,
    tried: Callable[..., list[Trial]],
) -> None:
    sampler, told = make_sampler(name, problem, SEED, start), []
    asked: list[Decision] = []
    while len(asked) < len(start.first):
        candidates = [found for found in sampler.ask(4) if isinstance(found, Decision)]
        assert candidates == list(sampler.ask(4))
        asked += candidates
        told.append(tried(problem, points=candidates))
        sampler.tell(told[-1])
    assert asked == list(start.first)
    assert sampler.ask(4)

    again = make_sampler(name, problem, SEED, start)
    alone = make_sampler(name, problem, SEED)
    for trials in told:
        again.tell(trials)
        alone.tell(trials)
    assert next_of(again) == next_of(sampler) == next_of(alone)


def next_of(sampler: Sampler) -> list[object]:
    return [each.key if isinstance(each, Decision) else each for each in sampler.ask(6)]
