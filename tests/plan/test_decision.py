from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.plan.decision import Decision, decision_of
from boute.plan.model import Pool, Routing
from boute.plan.store import load_plan

PLAN = load_plan(Path(__file__).parent / "example.yaml")

POOL: dict[str, Any] = {
    "name": "p",
    "model": "a",
    "gpu": "l4",
    "tensor_parallel": 1,
    "pipeline_parallel": 1,
    "replicas": 1,
    "weight": 1.0,
}
choices = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["p", "q"]),
        "gpu": st.sampled_from(["l4", "l40s"]),
        "tensor_parallel": st.sampled_from([1, 2]),
        "pipeline_parallel": st.sampled_from([1, 2]),
        "replicas": st.integers(1, 3),
    }
)


def decision(threshold: float = 0.5, **pool: Any) -> Decision:
    routing = Routing(models=["a", "b"], fractions=[1.0, 0.0], thresholds=[threshold])
    return Decision(routing=routing, pools=(Pool.model_validate(POOL | pool),))


def test_a_plan_holds_its_decision() -> None:
    held = decision_of(PLAN)
    assert held.routing == PLAN.routing
    assert held.pools == tuple(PLAN.pools)
    assert held.gpu_counts() == {"l4": 3, "a10g": 3, "l40s": 1, "h100-sxm": 2}


def test_gpus_of_pools_on_one_type_are_added() -> None:
    routing = Routing(models=["a", "b"], fractions=[0.5, 0.5], thresholds=[0.5])
    pools = (
        Pool.model_validate(POOL | {"replicas": 3}),
        Pool.model_validate(POOL | {"name": "q", "model": "b", "tensor_parallel": 4}),
    )
    assert Decision(routing, pools).gpu_counts() == {"l4": 7}


@given(choices, choices)
def test_one_key_is_one_decision(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert (decision(**first).key == decision(**second).key) == (first == second)
    assert (decision(**first) == decision(**second)) == (first == second)


def test_the_key_tells_routings_and_orders_of_pools_apart() -> None:
    assert decision(0.5).key != decision(0.25).key
    held = decision_of(PLAN)
    other = Decision(held.routing, (*held.pools[1:], held.pools[0]))
    assert held.key != other.key


def test_the_key_does_not_depend_on_the_file_of_the_router() -> None:
    held = decision_of(PLAN)
    moved = held.routing.model_copy(update={"router": "elsewhere.npz", "router_hash": "2" * 64})
    assert Decision(moved, held.pools).key == held.key


def test_a_decision_that_serves_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match=r"b takes 100\.0% of the queries but has no pool"):
        Decision(
            Routing(models=["a", "b"], fractions=[0.0, 1.0], thresholds=[-1.0]),
            (Pool.model_validate(POOL),),
        )
