"""Searches on a real Ray cluster of two nodes on this machine."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boute.errors import InputError, ServingError
from boute.evaluate import evaluate
from boute.optimizer.problem import Problem
from boute.optimizer.ray_workers import RayWorkers
from boute.optimizer.run import Request, optimize
from boute.optimizer.sobol_points import sobol_points
from boute.plan.decision import Decision

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs, so that every task runs on a node that can be lost, and two nodes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # A node that is gone is noticed soon, and one that a busy machine holds up for some seconds
        # is not taken for gone: Ray would end this very process with the head.
        patch.setenv("RAY_health_check_period_ms", "1000")
        patch.setenv("RAY_health_check_failure_threshold", "20")
        from ray.cluster_utils import Cluster

        # Other Ray programs of this machine are not to find this cluster by themselves.
        patch.setattr("ray._private.utils.write_ray_address", lambda *_: None)
        folder = tempfile.mkdtemp(prefix="boute-", dir="/tmp")  # names of sockets have to be short
        shared = {"include_dashboard": False, "temp_dir": folder}
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **shared})
        try:
            for _ in range(2):
                made.add_node(num_cpus=1, **shared)
            patch.setenv("RAY_ADDRESS", made.address)
            yield made
        finally:
            made.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def decisions(problem: Problem) -> list[Decision]:
    points = sobol_points(problem.encoding.dimensions, 60, seed=5)
    found = [problem.decode(point) for point in points]
    return [decision for decision in found if isinstance(decision, Decision)]


def test_a_search_on_the_cluster_finds_the_same_front(
    cluster: Any, problem: Problem, tmp_path: Path
) -> None:
    spec = tmp_path / "boute.yaml"
    spec.write_text(json.dumps(problem.context.spec.model_dump(mode="json", exclude_unset=True)))
    fronts = []
    for number, workers in enumerate((1, "ray")):
        out = tmp_path / str(number)
        optimize(Request(spec, out, sampler="sobol", evaluations=16, seed=5, workers=workers))
        fronts.append([(out / name).read_bytes() for name in ("front.csv", "front.json")])
    assert fronts[0] == fronts[1]


def test_an_error_arrives_as_it_was_raised(
    cluster: Any, problem: Problem, decisions: list[Decision]
) -> None:
    pool = decisions[1].pools[0].model_copy(update={"tensor_parallel": 3})
    broken = Decision(decisions[1].routing, (pool, *decisions[1].pools[1:]))
    with pytest.raises(InputError) as here:
        evaluate(broken, problem.context.workload, problem.context)
    with RayWorkers(problem.context, "ray") as workers:
        assert list(workers.outcomes([])) == []
        with pytest.raises(InputError) as there:
            list(workers.outcomes([decisions[0], broken]))
    assert str(there.value) == str(here.value)


def test_a_node_lost_on_the_way_changes_nothing(
    cluster: Any, problem: Problem, decisions: list[Decision]
) -> None:
    context = problem.context
    expected = [evaluate(decision, context.workload, context) for decision in decisions]
    with RayWorkers(context, "ray") as workers:
        outcomes = workers.outcomes(decisions)
        found = [next(outcomes)]
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        found += outcomes
    assert [o.model_dump_json() for o in found] == [o.model_dump_json() for o in expected]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "ray://nowhere"])
def test_no_cluster_is_one_clear_line(
    address: str, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ServingError, match="no Ray cluster can be reached") as info:
        RayWorkers(problem.context, "ray")
    assert info.value.where == "--workers"
    assert "\n" not in str(info.value)
