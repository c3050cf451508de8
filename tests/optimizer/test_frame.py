"""A study as a table: a row a trial, with what was decided and what was predicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from boute.errors import StudyError
from boute.metrics import METRICS, MIGRATION
from boute.optimizer.frame import study_frame
from boute.optimizer.problem import Problem
from boute.optimizer.run import search_problem
from boute.optimizer.search import Limits
from boute.optimizer.study import Study, StudyHeader


def test_a_row_holds_every_metric_and_what_was_decided(problem: Problem, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    header = StudyHeader(problem.context.spec_hash, "boute.yaml", problem.objectives)
    with Study(path, header) as study:
        search = search_problem(problem, study, "sobol", 3, Limits(6))
    frame = study_frame(path)
    assert len(frame) == len(search.trials) == 6
    assert set(METRICS) - set(MIGRATION) <= set(frame.columns)
    shares = frame[[name for name in frame.columns if name.startswith("share.")]]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1.0)
    for row, trial in zip(frame.to_dict("records"), search.trials, strict=True):
        assert trial.decision is not None
        assert trial.outcome is not None
        counts = trial.decision.gpu_counts()
        assert {f"gpus.{name}": count for name, count in counts.items()}.items() <= row.items()
        assert sum(v for k, v in row.items() if k.startswith("gpus.")) == sum(counts.values())
        assert row["quality"] == trial.outcome.quality
        assert row["verdict"] == trial.outcome.verdict


def test_a_study_that_is_not_there_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no study"):
        study_frame(tmp_path / "none.db")
    assert not list(tmp_path.iterdir())
