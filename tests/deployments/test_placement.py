"""Where replicas run: GPUs of the right type, together where they must be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import serve

from boute.deployments.engines.settings import EngineSettings
from boute.deployments.placement import placement
from boute.spec.family import ServedBy
from boute.spec.model import Engine


def settings_of(**changes: Any) -> EngineSettings:
    given: dict[str, Any] = {
        "pool": "big-1",
        "model": "big",
        "served_by": ServedBy(),
        "vllm": Engine(),
        "weights_from": "a/b",
        "weights": "bf16",
        "kv_cache": "bf16",
        "device": "gpu",
        "accelerator_type": "H100",
        "tensor_parallel": 2,
        "pipeline_parallel": 2,
        "max_model_len": 4096,
    }
    return EngineSettings.model_validate(given | changes)


def gpus_of(where: dict[str, Any]) -> float:
    return sum(bundle.get("GPU", 0) for bundle in where["placement_group_bundles"])


def test_a_replica_within_a_node_is_one_bundle_of_its_gpu_type() -> None:
    where = placement(settings_of())
    assert where["placement_group_bundles"] == [
        {"CPU": 1, "GPU": 4, "accelerator_type:H100": 0.001}
    ]
    assert where["ray_actor_options"]["num_gpus"] == 4
    assert where["placement_group_strategy"] == "STRICT_PACK"


def test_with_ray_s_executor_each_gpu_is_a_bundle_behind_the_replica_s_own() -> None:
    served_by = ServedBy(args={"distributed_executor_backend": "ray"})
    where = placement(settings_of(served_by=served_by))
    first, *rest = where["placement_group_bundles"]
    assert first == {"CPU": 1}
    assert rest == [{"GPU": 1, "accelerator_type:H100": 0.001}] * 4
    assert "num_gpus" not in where["ray_actor_options"]


@pytest.mark.parametrize(
    ("changes", "cpus"),
    [
        ({"device": "cpu"}, 4),
        ({"device": "cpu", "cores": 0.25, "pipeline_parallel": 1}, 0.5),
        ({"device": "cpu", "cores": 0.3}, 2),
        ({"served_by": ServedBy(engine="simulated")}, 0),
        ({"served_by": ServedBy(engine="openai", base_url="http://x/v1")}, 0),
    ],
    ids=["cores", "slots", "whole cores beyond one, as Ray wants", "simulated", "an endpoint"],
)
def test_what_needs_no_gpu_takes_none(changes: dict[str, Any], cpus: float) -> None:
    assert placement(settings_of(**changes)) == {"ray_actor_options": {"num_cpus": cpus}}


@given(
    tensor=st.sampled_from([1, 2, 4, 8]),
    pipeline=st.integers(1, 4),
    executor=st.sampled_from([{}, {"distributed_executor_backend": "ray"}]),
    kind=st.sampled_from([None, "L4"]),
)
def test_ray_serve_takes_every_placement_and_no_gpu_is_lost(
    tensor: int, pipeline: int, executor: dict[str, Any], kind: str | None
) -> None:
    where = placement(
        settings_of(
            tensor_parallel=tensor,
            pipeline_parallel=pipeline,
            accelerator_type=kind,
            served_by=ServedBy(args=executor),
        )
    )
    assert gpus_of(where) == tensor * pipeline
    deployment = serve.deployment(name="pool", **where)(type("Pool", (), {}))
    assert deployment.name == "pool"
