"""The study or the plan that a search is started from, as `--from` names it.

A study says itself what its trials were expected to do. Of a plan that is worked out again from the
spec that it carries; where the data is gone, nothing is learned from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boute.documents import parse_yaml
from boute.errors import InputError, PlanError, StudyError
from boute.files import read_bytes, sha256_of
from boute.optimizer.estimate import Estimator
from boute.optimizer.options import OptionTable
from boute.optimizer.study import Study
from boute.optimizer.study_header import StudyHeader, score_hash
from boute.outcome import Outcome
from boute.plan.decision import Decision, decision_of
from boute.plan.migration import running_pools
from boute.plan.model import Plan
from boute.plan.store import load_plan
from boute.spec.model import RunningPool
from boute.world import context_of

__all__ = ["Earlier", "Past", "load_earlier", "taken_up"]

_SQLITE: Final = b"SQLite format 3\0"


@dataclass(frozen=True, eq=False)
class Past:
    """A decision, what was estimated of it (maybe nothing) and what was simulated."""

    decision: Decision
    estimated: dict[str, float]
    outcome: Outcome


@dataclass(frozen=True, eq=False)
class Earlier:
    """What is known of an earlier world.

    `score_hash` and `peak_rate_per_s` are those of the study's header, empty and 0 where they are
    not known. `router` is the folder where its router should lie; `current` is what runs, if `file`
    is a plan.
    """

    file: str
    content_hash: str
    score_hash: str
    peak_rate_per_s: float
    past: tuple[Past, ...]
    router: Path | None
    current: tuple[RunningPool, ...] | None = None


def load_earlier(path: Path) -> Earlier:
    """Read a study or a plan; raise InputError and its kinds for what is neither."""
    data = read_bytes(path)
    if data.startswith(_SQLITE):
        return _of_study(path)
    try:
        found, _ = parse_yaml(data.decode("utf-8-sig"), where=str(path), error=PlanError)
    except UnicodeDecodeError:
        found = None
    if not isinstance(found, dict) or "pools" not in found:
        raise InputError(
            "is neither a study nor a plan", where=str(path), mend="give a study.db or a plan.yaml"
        )
    return _of_plan(load_plan(path), path, sha256_of(data))


def taken_up(study_file: Path | None, earlier: Earlier | None) -> StudyHeader | None:
    """The header of a study that is there already, which holds what it was started from.

    Raises StudyError when it was started from something else than is given.
    """
    if study_file is None or not study_file.is_file() or not study_file.stat().st_size:
        return None
    with Study(study_file, None) as study:
        header = study.header
    start = header.start
    if earlier is None or (start and start.source_hash == earlier.content_hash):
        return header
    source = start.source if start else ""
    raise StudyError(
        f"was started from {source or 'nothing'}, not from {earlier.file} as it is now",
        where=str(study_file),
        mend="leave --from out to go on with it, or give another --study FILE",
    )


def _of_study(path: Path) -> Earlier:
    with Study(path, None) as study:
        header = study.header
        trials = zip(study.trials(), study.estimates(), strict=True)
        past = tuple(
            Past(decision, estimated, outcome) for (_, decision, outcome), estimated in trials
        )
    if not past:
        raise InputError("holds no plan that was tried", where=str(path), mend="leave --from out")
    content = sha256_of(header.spec_hash, *(each.decision.key for each in past))
    router = path.parent / "router"
    return Earlier(str(path), content, header.score_hash, header.peak_rate_per_s, past, router)


def _of_plan(plan: Plan, path: Path, content_hash: str) -> Earlier:
    decision, current = decision_of(plan), tuple(running_pools(plan))
    router = path.parent / plan.routing.router if plan.routing.router else None
    try:
        context = context_of(plan, path)
        table = OptionTable(context)
        estimated = Estimator(context, table).estimate(decision).metrics
    except (InputError, KeyError):  # its data is gone, or it has a pool that no table has
        past = (Past(decision, {}, plan.predicted),)
        return Earlier(str(path), content_hash, "", 0.0, past, router, current)
    past = (Past(decision, estimated, plan.predicted),)
    rate = context.workload.peak_rate_per_s
    return Earlier(str(path), content_hash, score_hash(context), rate, past, router, current)
