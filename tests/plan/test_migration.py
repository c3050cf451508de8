from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.plan.migration import Kind, fleet_of, moved_gpus
from boute.plan.model import Plan
from boute.plan.store import load_plan

KINDS = [
    Kind(model, weights, "bf16", gpu, tensor, pipeline)
    for model, weights in (("small", "bf16"), ("large", "bf16"), ("large", "fp8"))
    for gpu in ("l40s", "h100-sxm")
    for tensor, pipeline in ((1, 1), (4, 1), (2, 2))
]
FLEETS = st.dictionaries(st.sampled_from(KINDS), st.integers(1, 9), max_size=5)
Fleet = Mapping[Kind, int]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan(Path(__file__).parent / "example.yaml")


@given(a=FLEETS, b=FLEETS, c=FLEETS)
def test_moved_gpus_are_a_distance(a: Fleet, b: Fleet, c: Fleet) -> None:
    assert moved_gpus(a, b) == moved_gpus(b, a)
    assert (moved_gpus(a, b) == 0) == (a == b)
    assert moved_gpus(a, c) <= moved_gpus(a, b) + moved_gpus(b, c)


@given(fleet=FLEETS)
def test_to_and_from_nothing_every_gpu_moves(fleet: Fleet) -> None:
    held = sum(kind.gpus * count for kind, count in fleet.items())
    assert moved_gpus({}, fleet) == moved_gpus(fleet, {}) == held


def test_a_gpu_that_goes_to_another_model_counts_twice() -> None:
    small, large, shared = KINDS[0], KINDS[7], KINDS[8]
    assert (small.gpus, large.gpus, shared.gpus) == (1, 4, 4)
    assert moved_gpus({small: 8}, {small: 4, large: 1}) == 8
    assert moved_gpus({large: 2}, {large: 1, shared: 1}) == 8


def changed(plan: Plan, **fields: Any) -> Plan:
    data = plan.model_dump()
    for path, value in fields.items():
        part: Any = data
        *parents, last = [int(key) if key.isdigit() else key for key in path.split("__")]
        for key in parents:
            part = part[key]
        part[last] = value
    return Plan.model_validate(data)


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"pools__0__name": "another-name"}, 0),
        ({"routing__fractions": [0.3, 0.5, 0.2], "routing__thresholds": [0.3, 0.8]}, 0),
        ({"pools__0__replicas": 5}, 2),
        ({"pools__0__gpu": "a10g"}, 6),
        ({"models__0__weights": "int4"}, 6),
    ],
    ids=["name", "routing", "replicas", "gpu", "weights"],
)
def test_of_a_plan_only_its_replicas_count(plan: Plan, change: dict[str, Any], moved: int) -> None:
    assert moved_gpus(fleet_of(plan), fleet_of(changed(plan, **change))) == moved
