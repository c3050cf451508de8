"""A decision carried to the same world is itself; to another, what of it can be had there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.context import Context
from boute.errors import InputError
from boute.evaluate import evaluate
from boute.optimizer.carry import Carrier
from boute.optimizer.earlier import Earlier, Past
from boute.optimizer.inventory import Inventory
from boute.optimizer.problem import Problem
from boute.optimizer.study_header import score_hash
from boute.plan.decision import Decision
from boute.world import changed_spec

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def earlier(problem: Problem) -> Earlier:
    """The small world with one trial."""
    decision, context = chance(problem, 0), problem.context
    past = Past(decision, {}, evaluate(decision, context.workload, context))
    rate = context.workload.peak_rate_per_s
    return Earlier("old.db", "hash", score_hash(context), rate, (past,), router=None)


def chance(problem: Problem, seed: int) -> Decision:
    point = np.random.default_rng(seed).random(problem.encoding.dimensions)
    found = problem.decode(tuple(float(value) for value in point))
    assert isinstance(found, Decision)
    return found


def shapes(decision: Decision) -> list[tuple[str, int]]:
    """Pools without their weights, which follow what they carry."""
    return [(pool.name, pool.replicas) for pool in decision.pools]


def check_it_can_be_had(decision: Decision, problem: Problem) -> None:
    inventory = Inventory(problem.context.supplies)
    for pool in sorted(decision.pools, key=lambda pool: -pool.gpus_per_replica):
        option = problem.table.option(pool)
        assert inventory.take(option.gpu, option.gpus, pool.replicas) == pool.replicas
    budget = problem.context.spec.targets.budget_per_hour
    price = problem.estimator.estimate(decision).metrics["cost_per_hour"]
    assert budget is None or price <= budget * (1.0 + 1e-9)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS)
def test_in_the_same_world_it_is_the_same(problem: Problem, earlier: Earlier, seed: int) -> None:
    decision = chance(problem, seed)
    carried = Carrier(problem, earlier).carry(decision)
    assert carried.whole
    assert carried.kept is not None
    assert carried.kept.key == carried.decisions[0].key == decision.key


@settings(deadline=None, max_examples=12)
@given(seed=SEEDS)
def test_with_fewer_gpus_what_comes_of_it_has_room(
    problem: Problem, limited: Callable[..., Context], earlier: Earlier, seed: int
) -> None:
    fewer = Problem(limited(problem.context, [3, 5], 25.0))
    decision = chance(problem, seed)
    carried = Carrier(fewer, earlier).carry(decision, programs=True)
    for found in carried.decisions:
        check_it_can_be_had(found, fewer)
        assert found.routing == decision.routing
    if carried.whole and carried.kept:
        assert carried.kept.key == decision.key


def test_at_more_load_it_is_also_placed_as_full_as_it_was(
    problem: Problem, context_of: Callable[..., Context], earlier: Earlier
) -> None:
    spec = changed_spec(problem.context.spec, rate_scale=2.0)
    more = Problem(context_of(workload=spec.workload.model_dump()))
    grown = 0
    for seed in range(8):
        decision = chance(problem, seed)
        carried = Carrier(more, earlier).carry(decision)
        assert carried.kept is not None
        assert shapes(carried.kept) == shapes(decision)
        held = sum(decision.gpu_counts().values())
        grown += any(sum(each.gpu_counts().values()) > held for each in carried.again)
    assert grown >= 3


def test_queries_of_a_model_that_is_gone_go_to_the_next_dearer(
    problem: Problem, context_of: Callable[..., Context], earlier: Earlier
) -> None:
    alone = Problem(context_of(models=["llama-3.1-70b"], targets={}))
    carried = Carrier(alone, earlier).carry(chance(problem, 3))
    assert carried.routing.fractions == [1.0]
    assert not carried.whole or all(p.model == "llama-3.1-70b" for p in chance(problem, 3).pools)
    for found in carried.decisions:
        check_it_can_be_had(found, alone)


def test_a_model_that_is_new_gets_no_queries_at_first(
    problem: Problem, context_of: Callable[..., Context], earlier: Earlier
) -> None:
    models = ["llama-3.1-8b", "llama-3.1-70b", {"name": "llama-3.1-405b", "weights": "int4"}]
    larger = Problem(context_of(models=models))
    decision = chance(problem, 3)
    carried = Carrier(larger, earlier).carry(decision)
    assert carried.routing.fractions == pytest.approx([*decision.routing.fractions, 0.0], abs=0.02)
    assert carried.kept is not None
    assert [pool.gpus for pool in carried.kept.pools] == [pool.gpus for pool in decision.pools]


def test_a_gpu_type_that_is_gone_is_replaced(
    problem: Problem, context_of: Callable[..., Context], earlier: Earlier
) -> None:
    left = Problem(context_of(gpus={"h100-sxm": {"count": 16}}, targets={}))
    for seed in range(6):
        carried = Carrier(left, earlier).carry(chance(problem, seed), programs=True)
        assert carried.decisions
        for found in carried.decisions:
            check_it_can_be_had(found, left)


def test_nothing_in_common_is_refused(problem: Problem, earlier: Earlier) -> None:
    routing = earlier.past[0].decision.routing.model_copy(update={"models": ["this", "that"]})
    pools = tuple(
        pool.model_copy(update={"model": {"llama-3.1-8b": "this"}.get(pool.model, "that")})
        for pool in earlier.past[0].decision.pools
    )
    past = replace(earlier.past[0], decision=Decision(routing, pools))
    with pytest.raises(InputError, match="has no model in common with the spec") as info:
        Carrier(problem, replace(earlier, past=(past,)))
    assert "that, this" in info.value.problem
    assert info.value.where == "old.db"
