"""From trials to ranked plans: the feasible, nondominated ones, most balanced first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

import boute
from boute.context import Context
from boute.errors import InfeasibleError
from boute.metrics import is_maximised
from boute.optimizer.dial import dial_steps
from boute.optimizer.pareto import knee_order
from boute.optimizer.problem import Problem, nothing_decodes
from boute.optimizer.robustness import in_full
from boute.optimizer.search import Search
from boute.optimizer.trial import Trial, undominated
from boute.optimizer.workers import Evaluator
from boute.plan.model import Alternative, DialStep, Plan, PlannedModel, Source
from boute.spec.load import rebase_spec
from boute.spec.model import Spec

__all__ = ["Origin", "drawn_again", "front_trials", "make_plans", "nothing_feasible"]


@dataclass(frozen=True)
class Origin:
    """What plans of one run have in common: spec file, sampler and seed, the router's folder."""

    spec_file: Path
    sampler: str
    seed: int
    router_folder: Path
    router_hash: str


def front_trials(trials: Sequence[Trial]) -> list[Trial]:
    """The feasible, nondominated trials, most balanced first.

    Their order depends on what they are, not on when they were found.
    """
    front = undominated(sorted((trial for trial in trials if trial.feasible), key=_identity))
    if not front:
        return []
    return [front[index] for index in knee_order(np.array([trial.values for trial in front]))]


def drawn_again(
    front: Sequence[Trial], workers: Evaluator, until_s: float | None = None
) -> list[Trial]:
    """The trials with what becomes of them over resamples, and their margin of load.

    Once the clock (`time.monotonic`) has passed `until_s` the rest stay as they are.
    """
    decisions = [trial.decision for trial in front if trial.decision is not None]
    found: list[Trial] = []
    for trial, outcome in zip(front, workers.outcomes(decisions, in_full), strict=True):
        found.append(replace(trial, outcome=outcome))
        if until_s is not None and time.monotonic() >= until_s:
            break
    return [*found, *front[len(found) :]]


def make_plans(
    trials: Sequence[Trial], problem: Problem, origin: Origin, folder: Path
) -> list[Plan]:
    """Plans named plan-01, plan-02, ... of front trials; `folder` is where they will be written.

    Their objectives are what the search judged them by.
    """
    context = problem.context
    width = max(len(str(len(trials))), 2)
    names = [f"plan-{rank:0{width}d}" for rank in range(1, len(trials) + 1)]
    objectives = context.spec.objectives
    values = [
        {metric: problem.value(trial.outcome, metric) for metric in objectives}
        for trial in trials
        if trial.outcome is not None
    ]
    alternatives = [
        Alternative(plan=name, objectives=value) for name, value in zip(names, values, strict=True)
    ]
    spec = rebase_spec(context.spec, context.folder, folder)
    dial = cache(lambda served: dial_steps(context, served))  # a few sets of models serve them all
    return [
        _plan(
            trial,
            name=name,
            objectives=value,
            alternatives=[other for other in alternatives if other.plan != name],
            context=context,
            origin=origin,
            folder=folder,
            spec=spec,
            dial=dial,
        )
        for trial, name, value in zip(trials, names, values, strict=True)
    ]


def nothing_feasible(search: Search) -> InfeasibleError:
    """Which constraint binds, and the best value of it that was reached."""
    evaluated = [trial for trial in search.trials if trial.outcome is not None]
    if not evaluated:
        if search.nearest is None:
            return InfeasibleError("no plan was tried", mend="raise --evaluations or --time-limit")
        return nothing_decodes(search.nearest)
    nearest = min(evaluated, key=lambda trial: trial.violation)
    assert nearest.outcome is not None
    problem = search.problem
    missed = problem.missed(nearest.outcome)
    binding = max(missed, key=lambda name: missed[name])
    if binding == "stability" and nearest.outcome.verdict != "unstable":
        return InfeasibleError(
            "no plan is feasible, stability binds: the plan nearest to all targets drains its "
            "queues on the workload as it is, but not in every resample of it",
            where="workload",
            mend="add GPUs or budget, plan a longer trace, or search with --plain",
        )
    if binding == "stability":
        lowest = min(trial.outcome.utilisation for trial in evaluated if trial.outcome)
        return InfeasibleError(
            "no plan is feasible, stability binds: the busiest pool is asked for at least "
            f"{lowest:.0%} of what it carries",
            where="workload",
            mend="add GPUs or budget, or lower workload.rate_scale",
        )
    metric, limit = problem.context.spec.targets.limits()[binding]
    reached = [problem.value(trial.outcome, metric) for trial in evaluated if trial.outcome]
    best = max(reached) if is_maximised(metric) else min(reached)
    near = problem.value(nearest.outcome, metric)
    more = "a better model" if binding == "quality_min" else "GPUs"
    return InfeasibleError(
        f"no plan is feasible, {binding} binds: {limit:g} is asked, the best reached is "
        f"{best:.4g}, and {near:.4g} by the plan nearest to all targets",
        where=f"targets.{binding}",
        mend=f"ease it, add {more}, or search longer",
    )


def _plan(
    trial: Trial,
    *,
    name: str,
    objectives: dict[str, float],
    alternatives: list[Alternative],
    context: Context,
    origin: Origin,
    folder: Path,
    spec: Spec,
    dial: Callable[[frozenset[str]], list[DialStep]],
) -> Plan:
    assert trial.decision is not None
    assert trial.outcome is not None
    served = frozenset(pool.model for pool in trial.decision.pools)
    choices = {choice.name: choice for choice in spec.models}
    routing = trial.decision.routing.model_copy(
        update={
            "router": os.path.relpath(origin.router_folder, folder),
            "router_hash": origin.router_hash,
            "dial": dial(served),
        }
    )
    return Plan(
        name=name,
        source=Source(
            spec=os.path.relpath(origin.spec_file, folder),
            spec_hash=context.spec_hash,
            boute_version=boute.__version__,
            sampler=origin.sampler,
            seed=origin.seed,
        ),
        routing=routing,
        models=[
            PlannedModel(
                name=member.name,
                card=member.card.name,
                huggingface_id=member.card.huggingface_id,
                weights=member.choice.weights,
                kv_cache=member.choice.kv_cache,
                served_by=choices[member.name].served_by,
            )
            for member in context.family
            if member.name in served
        ],
        max_model_len=context.max_model_len,
        pools=list(trial.decision.pools),
        objectives=objectives,
        predicted=trial.outcome,
        alternatives=alternatives,
        spec=spec,
    )


def _identity(trial: Trial) -> tuple[tuple[float, ...], str]:
    assert trial.values is not None
    assert trial.decision is not None
    return tuple(float(value) for value in trial.values), trial.decision.key
