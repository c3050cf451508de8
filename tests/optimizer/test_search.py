from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from boute.context import Context
from boute.optimizer.encoding import Point
from boute.optimizer.front import front_trials
from boute.optimizer.pareto import hypervolume
from boute.optimizer.problem import Problem
from boute.optimizer.sampler import Sampler, make_sampler
from boute.optimizer.search import BATCH, Limits, Search, Step
from boute.optimizer.study import Study, StudyHeader
from boute.optimizer.trial import Trial
from boute.optimizer.workers import Workers

HEADER = StudyHeader("a hash", "boute.yaml", ("quality", "e2e_p95_s", "cost_per_hour"))

Start = Callable[..., Search]


class Listed:
    """A sampler that hands out a list and remembers what it was told."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.left = list(points)
        self.told: list[list[Trial]] = []

    def ask(self, count: int) -> list[Point]:
        asked, self.left = self.left[:count], self.left[count:]
        return asked

    def tell(self, trials: Sequence[Trial]) -> None:
        self.told.append(list(trials))


@pytest.fixture
def start(problem: Problem) -> Iterator[Start]:
    """A search that has not run yet, on a study in memory unless another is given."""
    opened: list[Study] = []

    def make(
        sampler: Sampler | str = "sobol",
        study: Study | None = None,
        of: Problem = problem,
        on_step: Callable[[Step], None] = lambda step: None,
    ) -> Search:
        if study is None:
            study = Study(None, HEADER)
            opened.append(study)
        name = sampler if isinstance(sampler, str) else "listed"
        if isinstance(sampler, str):
            sampler = make_sampler(sampler, of, 1)
        workers = Workers(of.context, 1)
        return Search(of, study, sampler, workers, name, 1, on_step)

    yield make
    for study in opened:
        study.close()


def keys(trials: Sequence[Trial]) -> list[str]:
    return [trial.decision.key for trial in trials if trial.decision is not None]


def test_the_budget_counts_distinct_plans(start: Start, problem: Problem) -> None:
    one, other = (0.5,) * problem.encoding.dimensions, (0.2,) * problem.encoding.dimensions
    sampler = Listed([one] * 5 + [other] + [one] * 30)
    search = start(sampler)
    search.run(Limits(3))
    assert len(search.trials) == len(set(keys(search.trials))) == 2
    assert sampler.left == []
    assert sum(len(batch) for batch in sampler.told) == 36


def test_no_more_is_evaluated_than_asked(start: Start) -> None:
    for evaluations in (1, BATCH, BATCH + 3):
        search = start()
        search.run(Limits(evaluations))
        assert len(search.trials) == len(search.study.outcomes()) == evaluations


def test_steps_tell_how_the_hypervolume_grows(start: Start) -> None:
    seen: list[Step] = []
    search = start(on_step=seen.append)
    search.run(Limits(20))
    assert seen == search.steps
    assert [step.evaluations for step in seen] == list(range(1, 21))
    for step in seen:
        values = [t.values for t in search.trials[: step.evaluations] if t.feasible]
        assert step.hypervolume == pytest.approx(hypervolume(np.array(values)))


def test_a_deadline_that_is_past_stops_at_once(start: Start) -> None:
    search = start()
    search.run(Limits(100, time.monotonic() - 1.0))
    assert search.trials == []


def test_a_deadline_stops_between_batches(start: Start) -> None:
    search = start()
    search.run(Limits(1_000_000, time.monotonic() + 0.3))
    assert 0 < len(search.trials) < 100_000
    assert {len(batch.candidates) for batch in search.study.batches()} == {BATCH}


def test_what_came_too_late_is_recorded_and_not_learned(start: Start, problem: Problem) -> None:
    """Learning may take a second, and nobody asks for what came of it."""
    points = [(value,) * problem.encoding.dimensions for value in (0.2, 0.5)]
    sampler = Listed(points)
    search = start(sampler, on_step=lambda step: time.sleep(0.4))
    search.run(Limits(100, time.monotonic() + 0.3))
    assert len(search.trials) == len(search.study.outcomes()) > 0
    assert sampler.told == []


def test_a_study_that_is_full_is_taken_up_and_not_gone_on_with(start: Start) -> None:
    first = start()
    first.run(Limits(10))
    second = start(study=first.study)
    second.run(Limits(10))
    assert keys(second.trials) == keys(first.trials)
    assert len(second.study.batches()) == len(first.study.batches())


def test_going_on_is_as_if_it_had_never_stopped(start: Start) -> None:
    whole = start()
    whole.run(Limits(3 * BATCH))
    part = start()
    part.run(Limits(BATCH))
    rest = start(study=part.study)
    rest.run(Limits(3 * BATCH))
    assert keys(rest.trials) == keys(whole.trials)


def test_a_batch_that_was_left_unfinished_is_finished_first(start: Start, problem: Problem) -> None:
    whole = start()
    whole.run(Limits(2 * BATCH))
    points = [trial.point for trial in whole.trials]
    part = start()
    batch = part.study.add_batch("sobol", 1, points[:BATCH])
    trial = whole.trials[2]
    assert trial.decision is not None
    assert trial.outcome is not None
    part.study.add_trial(batch, trial.point, trial.decision, trial.outcome)
    rest = start(study=part.study)
    rest.run(Limits(2 * BATCH))
    assert sorted(keys(rest.trials)) == sorted(keys(whole.trials))
    assert keys(front_trials(rest.trials)) == keys(front_trials(whole.trials))


def test_what_another_search_adds_is_taken_up(
    start: Start, problem: Problem, tmp_path: Path
) -> None:
    """The other one asks before this one's first batch is done and finishes after it."""
    points = [trial.point for trial in finished(start, 3 * BATCH)]
    file = tmp_path / "study.db"
    with Study(file, HEADER) as here, Study(file, HEADER) as there:
        other = start(Listed([]), study=there)

        class Beside(Listed):
            def ask(self, count: int) -> list[Point]:
                if self.told:
                    other._finish(there.batches()[0])
                else:
                    there.add_batch("other", 2, points[2 * BATCH :])
                return super().ask(count)

        sampler = Beside(points[: 2 * BATCH])
        search = start(sampler, study=here)
        search.run(Limits(3 * BATCH))
    told = [trial.point for batch in sampler.told for trial in batch]
    assert told == points
    assert len(search.trials) == 3 * BATCH


def finished(start: Start, evaluations: int) -> list[Trial]:
    search = start()
    search.run(Limits(evaluations))
    return search.trials


@pytest.mark.parametrize("sampler", ["mobo", "nsga2", "sobol"])
def test_a_space_of_a_few_plans_is_searched_to_its_end(
    context_of: Callable[..., Context], start: Start, sampler: str
) -> None:
    """One model on one GPU: there is one plan, and a search for a hundred ends."""
    tiny = Problem(context_of(models=["llama-3.1-8b"], gpus={"l40s": {"count": 1}}, targets={}))
    search = start(sampler, of=tiny)
    search.run(Limits(100))
    assert len(search.trials) == 1
    assert len(search.study.batches()) <= 60


def test_rejections_are_counted_and_the_nearest_kept(
    context_of: Callable[..., Context], start: Start
) -> None:
    poor = Problem(context_of(targets={"budget_per_hour": 6.0}))
    search = start(of=poor)
    search.run(Limits(12))
    assert set(search.rejections) == {"budget"}
    assert search.rejections["budget"] > 0
    assert search.nearest is not None
    assert search.nearest.constraint == "budget"
    rejected = [
        found.shortfall
        for batch in search.study.batches()
        for found in (poor.decode(point) for point in batch.candidates)
        if hasattr(found, "shortfall")
    ]
    assert len(rejected) == search.rejections["budget"]
    assert search.nearest.shortfall == min(rejected)
