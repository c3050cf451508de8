from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.optimizer.features import Features
from boute.optimizer.problem import Problem
from boute.plan.decision import Decision
from boute.plan.model import Pool, Routing


@pytest.fixture(scope="module")
def features(problem: Problem) -> Features:
    return Features(problem.context, problem.table)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_features_lie_in_the_unit_cube(problem: Problem, features: Features, seed: int) -> None:
    point = np.random.default_rng(seed).random(problem.encoding.dimensions)
    decision = problem.decode(tuple(float(value) for value in point))
    assert isinstance(decision, Decision)
    found = features.of(decision)
    assert found.shape == (len(features.routing) + len(features.deployment),)
    assert np.all((found >= 0.0) & (found <= 1.0))


def test_features_are_shares_of_queries_of_gpus_and_of_capacity(
    problem: Problem, features: Features
) -> None:
    pools = (
        Pool(name="a", model="llama-3.1-8b", gpu="l40s", tensor_parallel=1, replicas=2, weight=1.0),
        Pool(
            name="b",
            model="llama-3.1-70b",
            gpu="h100-sxm",
            tensor_parallel=4,
            replicas=1,
            weight=1.0,
        ),
    )
    routing = Routing(
        models=list(problem.context.model_names), fractions=[0.75, 0.25], thresholds=[0.5]
    )
    found = features.of(Decision(routing, pools))
    rate = problem.context.workload.rate_per_s
    carried = [pool.replicas * problem.table.option(pool).capacity_per_s for pool in pools]
    shares = [np.sqrt(2 / 8), 0.0, 0.0, np.sqrt(4 / 8)]  # of L40S and H100, for 8B and for 70B
    fullness = [0.75 * rate / carried[0], 0.25 * rate / carried[1]]
    assert found == pytest.approx([0.75, *shares, *fullness])
    assert features.routing == [0]
