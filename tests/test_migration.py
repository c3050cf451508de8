"""From what runs to a decision: exact before a simulation, and refused where nothing is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boute.context import Context, prepare
from boute.errors import SpecError
from boute.evaluate import evaluate
from boute.metrics import MIGRATION
from boute.migration import Migration
from boute.optimizer.assemble import assemble
from boute.optimizer.ideal import Ideal
from boute.optimizer.problem import Problem
from boute.plan.decision import Decision
from boute.plan.model import Pool
from boute.spec.model import Spec
from boute.startup.shipped import replica_ready

SMALL = {"model": "llama-3.1-8b", "gpu": "l40s", "replicas": 2, "tensor_parallel": 1}
LARGE = {"model": "llama-3.1-70b", "gpu": "h100-sxm", "replicas": 1, "tensor_parallel": 4}


@pytest.fixture(scope="module")
def context_of(small_spec: Callable[..., dict[str, Any]]) -> Callable[..., Context]:
    return lambda **changes: prepare(Spec.model_validate(small_spec(**changes)), Path())


def decision_of(problem: Problem, *pools: dict[str, Any]) -> Decision:
    """Half of the queries to each model, on these pools."""
    routing = problem.decoder.routing_for(problem.encoding.split(_middle(problem)).fractions)
    named = [Pool(name=f"p{n}", weight=1.0, **pool) for n, pool in enumerate(pools)]
    return assemble(problem.context, routing, {problem.table.option(p): p.replicas for p in named})


def _middle(problem: Problem) -> tuple[float, ...]:
    return (0.5,) * problem.encoding.dimensions


@pytest.fixture(scope="module")
def problem(context_of: Callable[..., Context]) -> Problem:
    return Problem(context_of(current=[SMALL, LARGE]))


@pytest.mark.parametrize(
    ("pools", "moved", "starts"),
    [
        ([SMALL, LARGE], 0, None),
        ([SMALL | {"replicas": 1}, LARGE], 1, None),
        ([SMALL, LARGE | {"replicas": 2}], 4, "warm_s"),
        ([SMALL, LARGE | {"gpu": "l40s"}], 8, "cold_s"),
    ],
    ids=["same", "fewer", "more", "new"],
)
def test_what_starts_says_how_long_it_takes(
    problem: Problem, pools: list[dict[str, Any]], moved: int, starts: str | None
) -> None:
    decision, context = decision_of(problem, *pools), problem.context
    outcome = evaluate(decision, context.workload, context)
    assert outcome.moved_gpus == moved
    gpu = pools[1]["gpu"]
    member = context.member("llama-3.1-70b")
    ready = replica_ready(
        member.card, context.supply(gpu).card, tp=4, pp=1, weights="bf16", max_num_seqs=256
    )
    assert outcome.migration_s == (getattr(ready, starts) if starts else 0.0)
    exact = {metric: outcome.value(metric) for metric in MIGRATION}
    assert Migration(context).metrics(decision) == exact
    assert exact.items() <= problem.estimator.estimate(decision).metrics.items()
    assert exact.items() <= Ideal(problem).metrics(decision).items()


def test_a_model_in_another_format_is_another(context_of: Callable[..., Context]) -> None:
    problem = Problem(context_of(current=[SMALL, LARGE | {"weights": "fp8"}]))
    decision = decision_of(problem, SMALL, LARGE)
    assert Migration(problem.context).metrics(decision)["moved_gpus"] == 8


def test_where_it_is_not_known_what_runs_nothing_is_told(
    context_of: Callable[..., Context],
) -> None:
    problem = Problem(context_of())
    decision = decision_of(problem, SMALL, LARGE)
    assert Migration(problem.context).metrics(decision) == {}
    assert evaluate(decision, problem.context.workload, problem.context).moved_gpus is None


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"targets": {"moved_gpus_max": 4}}, "targets.moved_gpus_max"),
        ({"targets": {"migration_max_s": 60}}, "targets.migration_max_s"),
        ({"objectives": ["quality", "moved_gpus"]}, "objectives"),
    ],
)
def test_without_a_current_plan_asking_is_an_error(
    context_of: Callable[..., Context], change: dict[str, Any], where: str
) -> None:
    with pytest.raises(SpecError, match="it is not known what runs now") as info:
        context_of(**change)
    assert where in info.value.where
    assert "--from" in info.value.mend


def test_starts_on_cpus_are_not_known(
    context_of: Callable[..., Context], tmp_path: Path, small_spec: Callable[..., dict[str, Any]]
) -> None:
    slot = Path(__file__).parents[1] / "examples/tiny/cpu-slot.yaml"
    gpus = {"h100-sxm": {"count": 8}, "slot": {"count": 1, "card": str(slot), "price_per_hour": 1}}
    with pytest.raises(SpecError, match="nothing is known of starts on slot"):
        context_of(gpus=gpus, current=[SMALL], targets={"migration_max_s": 60})
