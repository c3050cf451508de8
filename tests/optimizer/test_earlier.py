from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from boute.context import Context
from boute.errors import InputError, PlanError, StudyError
from boute.optimizer.earlier import load_earlier, taken_up
from boute.optimizer.front import Origin, front_trials, make_plans
from boute.optimizer.problem import Problem
from boute.optimizer.run import search_problem
from boute.optimizer.search import Limits, Search
from boute.optimizer.start import Start
from boute.optimizer.study import Study
from boute.optimizer.study_header import header_of, score_hash
from boute.plan.migration import running_pools
from boute.plan.store import save_plan

EXAMPLE = Path(__file__).parents[1] / "plan" / "example.yaml"


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("earlier") / "study.db"


@pytest.fixture(scope="module")
def search(problem: Problem, study_file: Path) -> Search:
    with Study(study_file, header_of(problem.context, "boute.yaml")) as study:
        return search_problem(problem, study, "sobol", 3, Limits(8))


def test_a_study_says_what_it_expected_and_what_it_found(
    problem: Problem, search: Search, study_file: Path
) -> None:
    earlier = load_earlier(study_file)
    assert [past.outcome for past in earlier.past] == [trial.outcome for trial in search.trials]
    for past in earlier.past:
        assert past.estimated == problem.estimator.estimate(past.decision).metrics
    assert earlier.score_hash == score_hash(problem.context)
    assert earlier.peak_rate_per_s == problem.context.workload.peak_rate_per_s
    assert earlier.current is None
    assert earlier.router == study_file.parent / "router"


def test_a_plan_says_what_runs_and_what_was_expected_of_it(
    problem: Problem, search: Search, tmp_path: Path
) -> None:
    context = problem.context
    origin = Origin(Path("boute.yaml"), "sobol", 3, tmp_path / "router.npz", "0" * 64)
    plan = make_plans(front_trials(search.trials), problem, origin, tmp_path)[0]
    save_plan(plan, tmp_path / "plan.yaml")
    earlier = load_earlier(tmp_path / "plan.yaml")
    assert earlier.current == tuple(running_pools(plan))
    assert earlier.router is not None
    assert earlier.router.resolve() == tmp_path / "router.npz"
    (past,) = earlier.past
    assert past.outcome == plan.predicted
    assert past.estimated == problem.estimator.estimate(past.decision).metrics
    assert earlier.score_hash == score_hash(context)


def test_of_a_plan_whose_data_is_gone_the_fleet_is_left(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    shutil.copy(EXAMPLE, path)
    text = path.read_text().replace("azure-conversation", "gone.csv")
    path.write_text(text)
    earlier = load_earlier(path)
    assert earlier.past[0].estimated == {} or "gone.csv" not in text
    assert earlier.current


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (b"models: [a]\n", InputError, "is neither a study nor a plan"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", InputError, "is neither a study nor a plan"),
        (b"- a\n", InputError, "is neither a study nor a plan"),
        (b"pools: []\n", PlanError, "should have at least 1"),
        (b"pools: [\n", PlanError, "is not valid YAML"),
        (b"", PlanError, "is empty"),
        (b"SQLite format 3\0 and no more", StudyError, "is not a study that can be read"),
    ],
)
def test_what_is_neither_is_refused(
    tmp_path: Path, content: bytes, kind: type[InputError], says: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(kind, match=says) as info:
        load_earlier(path)
    assert str(path) in info.value.where


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_earlier(tmp_path / "none.db")


def test_a_study_of_an_earlier_schema_is_refused(
    study_file: Path, search: Search, tmp_path: Path
) -> None:
    path = tmp_path / "old.db"
    shutil.copy(study_file, path)
    db = sqlite3.connect(path)
    db.execute("UPDATE header SET schema_version = 1")
    db.commit()
    db.close()
    with pytest.raises(StudyError, match="has schema version 1"):
        load_earlier(path)


def test_a_study_without_trials_is_refused(context: Context, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    Study(path, header_of(context, "boute.yaml")).close()
    with pytest.raises(InputError, match="holds no plan that was tried"):
        load_earlier(path)


def test_a_study_holds_what_it_was_started_from(
    context: Context, study_file: Path, search: Search, tmp_path: Path
) -> None:
    earlier = load_earlier(study_file)
    path = tmp_path / "new.db"
    assert taken_up(path, earlier) is None
    start = Start(earlier.file, earlier.content_hash, 8, 8, 8, None, ())
    Study(path, header_of(context, "boute.yaml", start)).close()
    for given in (None, earlier):
        header = taken_up(path, given)
        assert header is not None
        assert header.start is not None
        assert vars(header.start) == vars(start)
    with pytest.raises(StudyError, match="was started from nothing, not from") as info:
        taken_up(study_file, earlier)
    assert "leave --from out" in info.value.mend


def test_a_start_that_makes_no_sense_is_an_error_of_the_study(
    context: Context, tmp_path: Path, context_of: Callable[..., Context]
) -> None:
    path = tmp_path / "study.db"
    Study(path, header_of(context, "boute.yaml")).close()
    db = sqlite3.connect(path)
    db.execute("UPDATE header SET start = '{}'")
    db.commit()
    db.close()
    with pytest.raises(StudyError, match="is not a study that can be read"):
        taken_up(path, None)
