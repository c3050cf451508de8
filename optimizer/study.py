"""The study file: an append-only SQLite database of what was asked, tried and seen.

It survives being killed at any moment: a batch of points is recorded before it is evaluated and
each trial when it is done, each in a transaction of its own, and a search that finds a batch
unfinished finishes it first. Two processes may share a file: SQLite serialises their writes.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from boute.errors import OutputError, StudyError
from boute.files import make_folder
from boute.optimizer.codec import candidate_data, candidate_of, decision_data, decision_of_data
from boute.optimizer.encoding import Point
from boute.optimizer.start import start_of_text, start_text
from boute.optimizer.study_header import StudyHeader
from boute.optimizer.trial import Candidate
from boute.outcome import Outcome
from boute.plan.decision import Decision

__all__ = ["Batch", "Study", "StudyHeader"]

SCHEMA_VERSION: Final = 2

# Tells a study from other SQLite databases: "bout" in ASCII.
_APPLICATION_ID: Final = 0x626F7574

# How long a process waits for another that writes to the same file.
_LOCK_WAIT_S: Final = 60.0

_TABLES: Final = """
CREATE TABLE header (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    schema_version INTEGER NOT NULL,
    spec_hash TEXT NOT NULL,
    spec_file TEXT NOT NULL,
    objectives TEXT NOT NULL,
    robust INTEGER NOT NULL,
    score_hash TEXT NOT NULL,
    peak_rate_per_s REAL NOT NULL,
    start TEXT
);
CREATE TABLE batches (
    id INTEGER PRIMARY KEY,
    sampler TEXT NOT NULL,
    seed INTEGER NOT NULL,
    points TEXT NOT NULL
);
CREATE TABLE trials (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batches (id),
    key TEXT NOT NULL UNIQUE,
    point TEXT NOT NULL,
    decision TEXT NOT NULL,
    outcome TEXT NOT NULL,
    estimated TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Batch:
    """Candidates asked together, by which sampler with which seed."""

    id: int
    sampler: str
    seed: int
    candidates: tuple[Candidate, ...]


class Study:
    """A study on disk, or in memory when `path` is None.

    It is started when it is not there yet. Without a `header` it has to be there, and may be of any
    spec: that is for looking at it. Opening raises StudyError when the file is no study or belongs
    to another spec, and OutputError when it cannot be written.
    """

    def __init__(self, path: Path | None, header: StudyHeader | None) -> None:
        self._where = str(path) if path is not None else ":memory:"
        if header is None and (path is None or not path.is_file()):
            raise StudyError("there is no study", where=self._where, mend="check the path")
        if path is not None:
            make_folder(path.parent)
        with self._explained():
            self._db = sqlite3.connect(self._where, timeout=_LOCK_WAIT_S, isolation_level=None)
        try:
            with self._explained():
                self._open(header)
        except BaseException:
            self._db.close()
            raise

    @property
    def header(self) -> StudyHeader:
        """What the file says that it is about."""
        with self._explained():
            row = self._db.execute(
                "SELECT spec_hash, spec_file, objectives, robust, score_hash, peak_rate_per_s,"
                " start FROM header"
            ).fetchone()
            return StudyHeader(
                spec_hash=row[0],
                spec_file=row[1],
                objectives=tuple(json.loads(row[2])),
                robust=bool(row[3]),
                score_hash=row[4],
                peak_rate_per_s=row[5],
                start=None if row[6] is None else start_of_text(row[6]),
            )

    def __enter__(self) -> Study:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def batches(self, after: int = 0) -> list[Batch]:
        """Batches in the order they were asked, those past the id `after`."""
        with self._explained():
            rows = self._db.execute(
                "SELECT id, sampler, seed, points FROM batches WHERE id > ? ORDER BY id", (after,)
            )
            return [
                Batch(number, sampler, seed, tuple(map(candidate_of, json.loads(points))))
                for number, sampler, seed, points in rows
            ]

    def add_batch(self, sampler: str, seed: int, candidates: list[Candidate]) -> Batch:
        """Record candidates before they are evaluated."""
        asked = [candidate_data(found) for found in candidates]
        with self._explained():
            cursor = self._db.execute(
                "INSERT INTO batches (sampler, seed, points) VALUES (?, ?, ?)",
                (sampler, seed, json.dumps(asked)),
            )
        number = cursor.lastrowid
        assert number is not None
        return Batch(number, sampler, seed, tuple(candidates))

    def outcomes(self) -> dict[str, Outcome]:
        """Outcomes by key of the decision, in the order they were evaluated."""
        with self._explained():
            rows = self._db.execute("SELECT key, outcome FROM trials ORDER BY id").fetchall()
            return {key: Outcome.model_validate_json(text) for key, text in rows}

    def add_trial(
        self,
        batch: Batch,
        point: Point,
        decision: Decision,
        outcome: Outcome,
        estimated: Mapping[str, float] | None = None,
    ) -> None:
        """Record a trial; one with the same decision that is there already is kept instead.

        `estimated` are the metrics that were expected, by name, from which another study can learn.
        """
        row = (
            batch.id,
            decision.key,
            json.dumps(point),
            json.dumps(decision_data(decision)),
            outcome.model_dump_json(),
            json.dumps(estimated or {}),
        )
        with self._explained():
            self._db.execute(
                "INSERT OR IGNORE INTO trials (batch, key, point, decision, outcome, estimated)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )

    def trials(self) -> Iterator[tuple[Point, Decision, Outcome]]:
        """All that was evaluated, in order: what a notebook or another tool wants to see."""
        with self._explained():
            rows = self._db.execute("SELECT point, decision, outcome FROM trials ORDER BY id")
            for point, decision, outcome in rows.fetchall():
                yield (
                    tuple(json.loads(point)),
                    decision_of_data(json.loads(decision)),
                    Outcome.model_validate_json(outcome),
                )

    def estimates(self) -> list[dict[str, float]]:
        """The metrics that were expected of each of `trials`, by name; empty where not recorded."""
        with self._explained():
            rows = self._db.execute("SELECT estimated FROM trials ORDER BY id").fetchall()
            return [dict(json.loads(text)) for (text,) in rows]

    def _open(self, header: StudyHeader | None) -> None:
        self._check_kind()
        self._use_wal()
        # Each commit reaches the disk: a trial that was seen is not lost to a power cut.
        self._db.execute("PRAGMA synchronous = FULL")
        # Of two processes that open a new file at once, one makes the tables.
        self._db.execute("BEGIN IMMEDIATE")
        if header is not None and self._is_empty():
            self._create(header)
        self._db.execute("COMMIT")
        self._check_header(header)

    def _use_wal(self) -> None:
        """Write ahead. SQLite does not wait for this lock by itself, whatever its timeout."""
        deadline_s = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() >= deadline_s:
                    raise
            time.sleep(0.01)

    def _check_kind(self) -> None:
        # In this order: the tables and the id of a new study appear together.
        if self._is_empty():
            return
        (kind,) = self._db.execute("PRAGMA application_id").fetchone()
        if kind != _APPLICATION_ID:
            raise StudyError(
                "is an SQLite database, but not a study",
                where=self._where,
                mend="start a new study with --study FILE",
            )

    def _is_empty(self) -> bool:
        return self._db.execute("SELECT 1 FROM sqlite_master").fetchone() is None

    def _create(self, header: StudyHeader) -> None:
        for statement in _TABLES.split(";"):
            self._db.execute(statement)
        self._db.execute(
            "INSERT INTO header VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                SCHEMA_VERSION,
                header.spec_hash,
                header.spec_file,
                json.dumps(header.objectives),
                header.robust,
                header.score_hash,
                header.peak_rate_per_s,
                None if header.start is None else start_text(header.start),
            ),
        )
        self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")

    def _check_header(self, header: StudyHeader | None) -> None:
        if self._is_empty():
            raise StudyError("is an empty file", where=self._where, mend="check the path")
        (version,) = self._db.execute("SELECT schema_version FROM header").fetchone()
        if version != SCHEMA_VERSION:
            raise StudyError(
                f"has schema version {version}, this boute reads {SCHEMA_VERSION}",
                where=self._where,
                mend="start a new study with --study FILE",
            )
        if header is not None:
            self._check_question(header)

    def _check_question(self, asked: StudyHeader) -> None:
        """One study is of one spec, and of one way to judge plans."""
        spec_hash, spec_file, robust = self._db.execute(
            "SELECT spec_hash, spec_file, robust FROM header"
        ).fetchone()
        if spec_hash != asked.spec_hash:
            raise StudyError(
                f"belongs to another spec or other data (it was started from {spec_file})",
                where=self._where,
                mend="give another --study FILE, or restore what was changed",
            )
        if bool(robust) != asked.robust:
            kind, option = ("robust", "--robust") if robust else ("plain", "--plain")
            raise StudyError(
                f"is of a {kind} search of this spec",
                where=self._where,
                mend=f"give another --study FILE, or {option}",
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite says into one line."""
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.IntegrityError) as error:
            raise OutputError(
                f"the study cannot be written: {error}",
                where=self._where,
                mend="free space or choose another --study",
            ) from error
        except (sqlite3.DatabaseError, ValueError, TypeError, KeyError) as error:
            raise StudyError(
                f"is not a study that can be read: {str(error).splitlines()[0]}",
                where=self._where,
                mend="start a new study with --study FILE",
            ) from error
