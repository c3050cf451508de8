"""Before and after a change of rate, price or supply, for a plan or for the best of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boute.context import Context, prepare
from boute.documents import parse_yaml
from boute.errors import InfeasibleError, InputError
from boute.evaluate import evaluate
from boute.files import read_text
from boute.optimizer.constraints import misses
from boute.optimizer.front import front_trials, nothing_feasible
from boute.optimizer.problem import Problem
from boute.optimizer.run import search_problem
from boute.optimizer.search import Limits
from boute.optimizer.study import Study, StudyHeader
from boute.outcome import Outcome
from boute.plan.decision import Decision, decision_of
from boute.plan.model import Plan
from boute.plan.store import load_plan
from boute.spec.load import load_spec
from boute.spec.model import Spec
from boute.world import changed_spec

__all__ = ["Change", "Row", "compare"]


@dataclass(frozen=True)
class Change:
    """What is different: a factor on the rate or a rate, prices by GPU type, types taken away."""

    rate_scale: float | None = None
    rate_per_s: float | None = None
    prices: Mapping[str, float] = field(default_factory=dict)
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One line of the comparison; without objectives where nothing can be said but the verdict."""

    label: str
    objectives: dict[str, float]
    gpus: dict[str, int]
    verdict: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "label": self.label,
            "objectives": self.objectives,
            "gpus": self.gpus,
            "verdict": self.verdict,
        }


def compare(file: Path, change: Change, evaluations: int, seed: int) -> list[Row]:
    """Compare before and after; `file` is a plan or a spec. Raises InputError."""
    data, _ = parse_yaml(read_text(file, error=InputError), where=str(file), error=InputError)
    if isinstance(data, dict) and "pools" in data:
        return _compare_plan(load_plan(file), file, change, evaluations, seed)
    spec = load_spec(file)
    before = prepare(spec, file.parent, where=str(file))
    after = _changed(spec, before, change, file)
    return [
        _best("best plan before", before, evaluations, seed),
        _best("best plan after", after, evaluations, seed),
    ]


def _compare_plan(plan: Plan, file: Path, change: Change, evaluations: int, seed: int) -> list[Row]:
    before = prepare(plan.spec, file.parent, where=str(file))
    after = _changed(plan.spec, before, change, file)
    decision = decision_of(plan)
    lost = sorted({pool.gpu for pool in plan.pools} & set(change.without))
    rows = [_row(f"{plan.name} before", decision, before)]
    if lost:
        rows.append(Row(f"{plan.name} after", {}, {}, f"cannot run without {', '.join(lost)}"))
    else:
        rows.append(_row(f"{plan.name} after", decision, after))
    rows.append(_best("planned anew", after, evaluations, seed))
    return rows


def _changed(spec: Spec, before: Context, change: Change, file: Path) -> Context:
    scale = change.rate_scale or 1.0
    if change.rate_per_s is not None:
        scale = change.rate_per_s / before.workload.rate_per_s
    changed = changed_spec(spec, rate_scale=scale, prices=change.prices, without=change.without)
    return prepare(changed, file.parent, where=str(file))


def _row(label: str, decision: Decision, context: Context) -> Row:
    outcome = evaluate(decision, context.workload, context)
    return Row(
        label,
        _objectives(outcome, context),
        decision.gpu_counts(),
        _verdict(outcome, context),
    )


def _best(label: str, context: Context, evaluations: int, seed: int) -> Row:
    """The most balanced plan of a short search."""
    header = StudyHeader(context.spec_hash, label, tuple(context.spec.objectives))
    try:
        with Study(None, header) as study:
            search = search_problem(Problem(context), study, "mobo", seed, Limits(evaluations))
        front = front_trials(search.trials)
        if not front:
            raise nothing_feasible(search)
    except InfeasibleError as error:
        return Row(label, {}, {}, str(error))
    best = front[0]
    assert best.decision is not None
    assert best.outcome is not None
    return Row(
        label,
        _objectives(best.outcome, context),
        best.decision.gpu_counts(),
        _verdict(best.outcome, context),
    )


def _objectives(outcome: Outcome, context: Context) -> dict[str, float]:
    return {name: outcome.value(name) for name in context.spec.objectives}


def _verdict(outcome: Outcome, context: Context) -> str:
    missed = sorted(misses(outcome, context.spec.targets))
    return f"{outcome.verdict}, misses {', '.join(missed)}" if missed else outcome.verdict
