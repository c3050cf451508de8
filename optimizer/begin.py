"""How a search begins that is started from another study, from a plan, or near the fleet that runs.

Every old trial says by how much its plan was better or worse than the estimate had it; its
descendants are expected to be so today. Those of the old front are tried first, by what is expected
of them and spread over its front; then those of the other trials, where they may be better still.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from boute.errors import SpecError
from boute.metrics import EXACT, MIGRATION, is_maximised
from boute.optimizer.carry import Carried, Carrier
from boute.optimizer.earlier import Earlier, Past
from boute.optimizer.estimate import Estimate
from boute.optimizer.near import plans_near_current
from boute.optimizer.pareto import nondominated, spread
from boute.optimizer.problem import Problem
from boute.optimizer.start import Start
from boute.plan.decision import Decision
from boute.spec.load import resolve
from boute.spec.model import RunningPool, Spec
from boute.workload.arrays import Floats, Ints

__all__ = ["begin", "check_current", "with_current"]

# Plans that are tried first: of what came of the old front, near what runs, and of all others.
FROM_FRONT: Final = 32
NEAR: Final = 16
OTHERS: Final = 8

# Plans of the old front that integer programs are solved for too, two of ten milliseconds each:
# where replicas can be kept they hardly ever give a plan that promises more.
PROGRAMS: Final = 8

# A plan is not expected to differ from its estimate by more than this factor: that of an overload
# tells how long the trace was.
_MOST_OFF: Final = 3.0


@dataclass(frozen=True, eq=False)
class _Heir:
    """A decision, and how many times what was estimated was found for its ancestor, by metric."""

    decision: Decision
    off: dict[str, float]


@dataclass(frozen=True, eq=False)
class _Expected:
    """What is expected of a decision: normalised objectives [m], and misses of targets."""

    decision: Decision
    values: Floats
    violation: float


def begin(problem: Problem, earlier: Earlier | None) -> Start | None:
    """What to start from; None where there is no earlier world and nobody asks how far plans are.

    Raises InputError when the earlier world has no model in common with this one.
    """
    current = problem.context.current
    near = bool(problem.context.spec.migration_keys())
    if earlier is None and not near:
        return None
    start = Start("", "", 0, 0, 0, None if current is None else tuple(current), ())
    leading: list[tuple[Past, Carried]] = []
    following: list[tuple[Past, Carried]] = []
    if earlier is not None:
        carrier = Carrier(problem, earlier)
        front, others = _split(earlier, problem)
        leading = [(past, carrier.carry(past.decision, programs=place < PROGRAMS))
                   for place, past in enumerate(front)]  # fmt: skip
        following = [(past, carrier.carry(past.decision)) for past in others]
        carried = [each for _, each in [*leading, *following]]
        start = replace(
            start,
            source=earlier.file,
            source_hash=earlier.content_hash,
            plans=len(carried),
            carried=sum(bool(each.decisions) for each in carried),
            whole=sum(each.whole and each.kept is not None for each in carried),
        )
    routings = [each.routing for _, each in leading]
    beside = plans_near_current(problem, routings) if near else []
    families = [
        (_heirs(leading, problem), FROM_FRONT),
        ([_Heir(decision, {}) for decision in beside], NEAR),
        (_heirs(following, problem), OTHERS),
    ]
    return replace(start, first=tuple(_best(problem, families)))


def with_current(spec: Spec, current: Sequence[RunningPool] | None) -> Spec:
    """The spec with the fleet that runs, where a search is started from its plan."""
    return spec if current is None else spec.model_copy(update={"current": list(current)})


def check_current(spec: Spec, folder: Path, plans: Path) -> None:
    """Raise SpecError when the plan that runs lies where the search will write others."""
    named = spec.current
    if isinstance(named, str) and resolve(named, folder).resolve().parent == plans.resolve():
        raise SpecError(
            f"{named} will be replaced by a plan of this search",
            where="current",
            mend="copy the plan that runs, or choose another --out",
        )


def _split(earlier: Earlier, problem: Problem) -> tuple[list[Past], list[Past]]:
    """The old front by today's objectives and targets, in the order tried, and the rest."""
    targets = problem.context.spec.targets.model_copy(
        update={"moved_gpus_max": None, "migration_max_s": None}
    )
    objectives = [name for name in problem.objectives if name not in MIGRATION]
    objectives = objectives or ["quality", "cost_per_hour"]  # the old world was not asked for moves
    signs = np.array([-1.0 if is_maximised(name) else 1.0 for name in objectives])
    rows = [[problem.value(past.outcome, name) for name in objectives] for past in earlier.past]
    good = _good([problem.missed(past.outcome, targets) for past in earlier.past])
    kept = good[nondominated(np.array(rows)[good] * signs)]
    rest = np.setdiff1d(np.arange(len(rows)), kept)
    return [earlier.past[place] for place in kept], [earlier.past[place] for place in rest]


def _good(missed: Sequence[dict[str, float]]) -> Ints:
    """Places of those that missed nothing; of the stable, or of all, where none did."""
    for good in (
        [not missing for missing in missed],
        ["stability" not in missing for missing in missed],
    ):
        if any(good):
            return np.flatnonzero(good)
    return np.arange(len(missed))


def _heirs(carried: Iterable[tuple[Past, Carried]], problem: Problem) -> list[_Heir]:
    """All that came of some plans, distinct; one that was kept is heir to itself alone."""
    kept: dict[str, _Heir] = {}
    again: dict[str, _Heir] = {}
    for past, each in carried:
        off = {
            metric: _factor(problem.value(past.outcome, metric), estimate)
            for metric, estimate in past.estimated.items()
            if metric not in EXACT and estimate > 0.0
        }
        if each.kept is not None:
            kept.setdefault(each.kept.key, _Heir(each.kept, off))
        for decision in each.again:
            again.setdefault(decision.key, _Heir(decision, off))
    return list((again | kept).values())


def _factor(found: float, estimate: float) -> float:
    return float(np.clip(found / estimate, 1.0 / _MOST_OFF, _MOST_OFF))


def _best(problem: Problem, families: Iterable[tuple[Sequence[_Heir], int]]) -> list[Decision]:
    """Of each family in turn what promises most among all so far."""
    chosen: list[_Expected] = []
    for family, most in families:
        known = {each.decision.key for each in chosen}
        expected = [_expected(problem, heir) for heir in family if heir.decision.key not in known]
        liked = _liked([*chosen, *expected], len(chosen) + most)
        chosen += [each for each in liked if each.decision.key not in known][:most]
    return [each.decision for each in chosen]


def _expected(problem: Problem, heir: _Heir) -> _Expected:
    estimate = problem.estimator.estimate(heir.decision)
    metrics = {name: value * heir.off.get(name, 1.0) for name, value in estimate.metrics.items()}
    corrected = Estimate(metrics, estimate.utilisation)
    return _Expected(heir.decision, *problem.promised(corrected))


def _liked(expected: Sequence[_Expected], most: int) -> list[_Expected]:
    """Those that no other is better than, in the order in which they add most volume.

    When none is expected to meet the targets, those that miss least.
    """
    meets = [each for each in expected if each.violation == 0.0]
    if not meets:
        return sorted(expected, key=lambda each: each.violation)[:most]
    values = np.array([each.values for each in meets])
    front = np.flatnonzero(nondominated(values))
    chosen = spread(values[front], most)
    # Those expected beyond the reference point add nothing, but may be found to be within it.
    beyond = [place for place in range(len(front)) if place not in chosen]
    return [meets[front[place]] for place in [*chosen, *beyond][:most]]
