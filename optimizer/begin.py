"""How a search begins that is started from another study, from a plan, or near the fleet that runs.

What came of the old front is tried first, and of that what the estimate likes best in today's
world, spread over its front; then what came of the other trials, where it may be better still.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from boute.errors import SpecError
from boute.metrics import MIGRATION, is_maximised
from boute.optimizer.carry import Carried, Carrier
from boute.optimizer.constraints import misses
from boute.optimizer.earlier import Earlier, Past
from boute.optimizer.near import plans_near_current
from boute.optimizer.pareto import nondominated, spread
from boute.optimizer.problem import Preview, Problem
from boute.optimizer.start import Lesson, Start
from boute.plan.decision import Decision
from boute.plan.model import Routing
from boute.spec.load import resolve
from boute.spec.model import RunningPool, Spec, Targets

__all__ = ["begin", "check_current", "with_current"]

# Plans that are tried first: of what came of the old front, near what runs, and of all others.
FROM_FRONT: Final = 24
NEAR: Final = 16
OTHERS: Final = 8

# Plans of the old front that integer programs are solved for, at about ten milliseconds each.
PROGRAMS: Final = 24

# Lessons that are taken along: the surrogate's cost grows with the cube of what it is fitted to.
LESSONS: Final = 96


def begin(problem: Problem, earlier: Earlier | None) -> Start | None:
    """What to start from; None where there is no earlier world and nobody asks how far plans are.

    Raises InputError when the earlier world has no model in common with this one.
    """
    current = problem.context.current
    start = Start("", "", 0, 0, 0, None if current is None else tuple(current), (), ())
    families: list[list[Decision]] = []
    routings: list[Routing] = []
    if earlier is not None:
        front, others = _split(earlier, problem)
        carrier = Carrier(problem, earlier)
        leading = [
            carrier.carry(past.decision, programs=place < PROGRAMS)
            for place, past in enumerate(front)
        ]
        following = [carrier.carry(past.decision) for past in others]
        routings = [carried.routing for carried in leading]
        families = [_all(leading), [], _all(following)]
        start = replace(
            _counted(start, [*leading, *following]),
            source=earlier.file,
            source_hash=earlier.content_hash,
            lessons=tuple(_lessons(problem, earlier, [*front, *others])),
        )
    if problem.context.spec.migration_keys():
        families = families or [[], [], []]
        families[1] = plans_near_current(problem, routings)
    if not families:
        return None
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
    values = np.array(
        [
            [
                past.outcome.value(name) * (-1.0 if is_maximised(name) else 1.0)
                for name in objectives
            ]
            for past in earlier.past
        ]
    )
    good = _good(earlier.past, targets)
    kept = good[nondominated(values[good])]
    front = [earlier.past[place] for place in kept]
    rest = sorted(set(range(len(earlier.past))) - set(kept.tolist()))
    return front, [earlier.past[place] for place in rest]


def _good(past: Sequence[Past], targets: Targets) -> np.ndarray:
    """Places of those that met the targets; of the stable, or of all, where none did."""
    missed = [misses(each.outcome, targets) for each in past]
    for places in (
        [place for place, missing in enumerate(missed) if not missing],
        [place for place, missing in enumerate(missed) if "stability" not in missing],
    ):
        if places:
            return np.array(places)
    return np.arange(len(past))


def _all(carried: Iterable[Carried]) -> list[Decision]:
    return [decision for each in carried for decision in each.decisions]


def _counted(start: Start, carried: Sequence[Carried]) -> Start:
    return replace(
        start,
        plans=len(carried),
        carried=sum(bool(each.decisions) for each in carried),
        whole=sum(each.whole and each.kept is not None for each in carried),
    )


def _lessons(problem: Problem, earlier: Earlier, past: Sequence[Past]) -> list[Lesson]:
    """Of trials whose decisions are of options of the table, the old front first."""
    models = list(problem.context.model_names)
    found = []
    for each in past:
        try:
            options = [problem.table.option(pool) for pool in each.decision.pools]
        except KeyError:
            continue
        if each.estimated and options and each.decision.routing.models == models:
            values = each.outcome.values()
            found.append(Lesson(each.decision, earlier.rate_per_s, each.estimated, values))
    return found[:LESSONS]


def _best(problem: Problem, families: Sequence[Sequence[Decision]]) -> list[Decision]:
    """Of each family in turn what the estimate likes best among all so far."""
    chosen: list[Preview] = []
    for family, most in zip(families, (FROM_FRONT, NEAR, OTHERS), strict=True):
        known = {preview.decision.key for preview in chosen}
        fresh = {each.key: each for each in family if each.key not in known}
        previews = [problem.preview(problem.point_of(each), each) for each in fresh.values()]
        liked = _liked([*chosen, *previews], len(chosen) + most)
        chosen += [preview for preview in liked if preview.decision.key in fresh][:most]
    return [preview.decision for preview in chosen]


def _liked(previews: Sequence[Preview], most: int) -> list[Preview]:
    """Those that no other is better than by estimate, in the order in which they add most volume.

    When none is expected to meet the targets, those that miss least.
    """
    meets = [preview for preview in previews if preview.violation == 0.0]
    if not meets:
        return sorted(previews, key=lambda preview: preview.violation)[:most]
    values = np.array([preview.values for preview in meets])
    front = np.flatnonzero(nondominated(values))
    return [meets[front[place]] for place in spread(values[front], most)]
