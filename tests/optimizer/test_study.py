from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import boute
from boute.errors import OutputError, StudyError
from boute.evaluate import evaluate
from boute.optimizer.encoding import Point
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.study import SCHEMA_VERSION, Study, StudyHeader
from boute.outcome import Outcome
from boute.plan.decision import Decision

HEADER = StudyHeader("a hash", "boute.yaml", ("quality", "cost_per_hour"))

Case = tuple[Point, Decision, Outcome]


@pytest.fixture(scope="module")
def cases(problem: Problem) -> list[Case]:
    found = []
    for point in sobol_points(problem.encoding.dimensions, 4, seed=3):
        decision = problem.decode(point)
        assert isinstance(decision, Decision)
        outcome = evaluate(decision, problem.context.workload, problem.context)
        found.append((point, decision, outcome))
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "study.db"


def fill(file: Path | None, cases: list[Case]) -> Study:
    study = Study(file, HEADER)
    batch = study.add_batch("sobol", 3, [point for point, _, _ in cases])
    for case in cases:
        study.add_trial(batch, *case)
    return study


def test_what_is_added_is_there_when_it_is_opened_again(file: Path, cases: list[Case]) -> None:
    fill(file, cases).close()
    with Study(file, HEADER) as study:
        assert list(study.trials()) == cases
        assert study.outcomes() == {decision.key: outcome for _, decision, outcome in cases}
        (batch,) = study.batches()
        assert (batch.sampler, batch.seed) == ("sobol", 3)
        assert batch.candidates == tuple(point for point, _, _ in cases)
        later = study.add_batch("mobo", 4, [])
        assert study.batches(after=batch.id) == [later]


def test_a_study_in_memory_holds_the_same(cases: list[Case]) -> None:
    with fill(None, cases) as study:
        assert list(study.trials()) == cases


def test_it_is_append_only_and_the_first_of_equal_decisions_stays(
    file: Path, cases: list[Case]
) -> None:
    point, decision, outcome = cases[0]
    with fill(file, cases) as study:
        batch = study.add_batch("sobol", 3, [point])
        other = outcome.model_copy(update={"quality": 0.0})
        study.add_trial(batch, point, decision, other)
        assert study.outcomes()[decision.key] == outcome
        assert len(list(study.trials())) == len(cases)


def test_to_look_at_a_study_no_header_is_needed(file: Path, cases: list[Case]) -> None:
    with pytest.raises(StudyError, match="there is no study"):
        Study(file, None)
    fill(file, cases).close()
    with Study(file, None) as study:
        assert list(study.trials()) == cases


def test_a_study_of_another_spec_is_refused(file: Path) -> None:
    Study(file, HEADER).close()
    with pytest.raises(StudyError, match="belongs to another spec or other data") as info:
        Study(file, StudyHeader("another hash", "other.yaml", HEADER.objectives))
    assert info.value.where == str(file)
    assert "boute.yaml" in info.value.problem


@pytest.mark.parametrize("robust", [False, True])
def test_robust_and_plain_outcomes_do_not_mix(file: Path, robust: bool) -> None:
    header = replace(HEADER, robust=robust)
    Study(file, header).close()
    Study(file, header).close()
    with pytest.raises(StudyError, match=r"is of a (plain|robust) search of this spec") as info:
        Study(file, replace(HEADER, robust=not robust))
    assert ("--robust" if robust else "--plain") in info.value.mend


def test_a_study_of_a_later_version_is_refused(file: Path) -> None:
    Study(file, HEADER).close()
    db = sqlite3.connect(file)
    db.execute("UPDATE header SET schema_version = ?", (SCHEMA_VERSION + 1,))
    db.execute("ALTER TABLE header ADD COLUMN more TEXT")
    db.commit()
    db.close()
    with pytest.raises(StudyError, match=f"has schema version {SCHEMA_VERSION + 1}") as info:
        Study(file, HEADER)
    assert info.value.where == str(file)


@pytest.mark.parametrize("content", [b"not a database, but long enough to be one " * 40, b"PK"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(StudyError, match="is not a study that can be read"):
        Study(file, HEADER)
    assert file.read_bytes() == content


def test_a_database_of_another_program_is_refused_and_left_alone(file: Path) -> None:
    file.parent.mkdir()
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.commit()
    db.close()
    before = file.read_bytes()
    with pytest.raises(StudyError, match="not a study"):
        Study(file, HEADER)
    assert file.read_bytes() == before


def test_an_empty_file_becomes_a_study_but_is_none_to_look_at(file: Path) -> None:
    file.parent.mkdir()
    file.touch()
    with pytest.raises(StudyError, match="is an empty file"):
        Study(file, None)
    with Study(file, HEADER) as study:
        assert study.batches() == []


def test_a_truncated_study_is_refused(file: Path, cases: list[Case]) -> None:
    fill(file, cases).close()
    whole = file.read_bytes()
    assert len(whole) > 3 * 4096
    file.write_bytes(whole[: len(whole) // 2])

    def read() -> None:
        with Study(file, HEADER) as study:
            list(study.trials())

    with pytest.raises(StudyError, match="is not a study that can be read"):
        read()


@pytest.mark.parametrize(
    ("column", "text"),
    [("outcome", "{}"), ("outcome", "{"), ("decision", "[]"), ("decision", "{}"), ("point", "1")],
)
def test_trials_that_make_no_sense_are_an_error_of_the_study(
    file: Path, cases: list[Case], column: str, text: str
) -> None:
    fill(file, cases).close()
    db = sqlite3.connect(file)
    db.execute(f"UPDATE trials SET {column} = ? WHERE id = 2", (text,))
    db.commit()
    db.close()
    with Study(file, HEADER) as study, pytest.raises(StudyError) as info:
        list(study.trials())
    assert info.value.where == str(file)


# One of several processes that write to one study.
_WRITE = """
import sys
from pathlib import Path
from boute.optimizer.study import Study, StudyHeader

source, target, name = sys.argv[1:]
with Study(Path(source), None) as study:
    cases = list(study.trials())
print("ready", flush=True)
sys.stdin.readline()
header = StudyHeader("a hash", "boute.yaml", ("quality", "cost_per_hour"))
for turn in range(8):
    with Study(Path(target), header) as study:
        batch = study.add_batch(name, turn, [point for point, _, _ in cases])
        for case in cases:
            study.add_trial(batch, *case)
"""


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    root = str(Path(boute.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": root},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_write_at_once_lose_nothing(file: Path, cases: list[Case]) -> None:
    """From the making of the file on: all open it at the same moment."""
    source = file.parent / "source.db"
    fill(source, cases).close()
    writers = [python(_WRITE, str(source), str(file), f"writer-{n}") for n in range(3)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    with Study(file, HEADER) as study:
        names = [batch.sampler for batch in study.batches()]
        assert sorted(names.count(name) for name in set(names)) == [8, 8, 8]
        assert study.outcomes() == {decision.key: outcome for _, decision, outcome in cases}


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    for place in (blocked / "study.db", Path("/proc/study.db"), tmp_path):
        with pytest.raises(OutputError) as info:
            Study(place, HEADER)
        assert info.value.where.startswith(str(place.parent))


def test_a_read_only_folder_is_an_output_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(OutputError):
        Study(tmp_path / "study.db", HEADER)


# Files of the process may grow to so many bytes: SQLite sees what it sees on a full disk.
_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from boute.errors import OutputError
from boute.optimizer.study import Study, StudyHeader

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
study = Study(Path(sys.argv[1]), StudyHeader("a hash", "boute.yaml", ("quality", "cost_per_hour")))
study.add_batch("sobol", 0, [(0.5,)])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    for turn in range(1000):
        study.add_batch("sobol", turn, [(0.5,) * 200])
except OutputError as error:
    print(error)
"""


def test_a_full_disk_is_an_output_error_and_keeps_what_was_written(file: Path) -> None:
    said, _ = python(_FULL_DISK, str(file)).communicate()
    assert said.startswith(f"{file}: the study cannot be written: ")
    assert "free space" in said
    with Study(file, HEADER) as study:
        batches = study.batches()
    assert 1 < len(batches) < 1000
    assert batches[0].candidates == ((0.5,),)


def test_the_file_is_plain_sqlite_and_json(file: Path, cases: list[Case]) -> None:
    """Other tools may read it."""
    fill(file, cases).close()
    db = sqlite3.connect(file)
    rows = db.execute("SELECT point, outcome FROM trials ORDER BY id").fetchall()
    (objectives,) = db.execute("SELECT objectives FROM header").fetchone()
    db.close()
    assert [tuple(json.loads(point)) for point, _ in rows] == [point for point, _, _ in cases]
    assert json.loads(rows[0][1])["quality"] == cases[0][2].quality
    assert json.loads(objectives) == list(HEADER.objectives)


def test_decisions_that_were_asked_are_read_as_they_were(cases: list[Case], tmp_path: Path) -> None:
    asked = [decision for _, decision, _ in cases]
    points = [point for point, _, _ in cases]
    with Study(tmp_path / "s.db", HEADER) as study:
        study.add_batch("exact", 0, [asked[0], points[1], *asked[1:]])
    with Study(tmp_path / "s.db", HEADER) as study:
        (batch,) = study.batches()
    assert batch.candidates == (asked[0], points[1], *asked[1:])
