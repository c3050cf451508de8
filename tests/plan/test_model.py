from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from boute.documents import check_document
from boute.errors import PlanError
from boute.plan.model import Plan, Pool, Routing, check_pools
from boute.spec.family import ServedBy

DATA: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "example.yaml").read_text("utf-8"))


def problem_of(*path: str | int, value: object) -> str:
    """The message for the example with one value replaced."""
    data = copy.deepcopy(DATA)
    here: Any = data
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    with pytest.raises(PlanError) as caught:
        check_document(data, Plan, where="p", error=PlanError)
    return str(caught.value).removeprefix("p: ")


def pool(name: str, model: str, weight: float = 1.0) -> Pool:
    return Pool(name=name, model=model, gpu="l4", weight=weight, replicas=1, tensor_parallel=1)


def test_the_example_is_a_plan() -> None:
    plan = Plan.model_validate(DATA)
    assert plan.schema_version == 1
    assert sum(plan.routing.fractions) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema_version",), 2, "schema_version: should be 1 (it is 2)"),
        (("name",), "../evil", "name: should be a name of letters, digits, '.', '-' and '_' (it"),
        (("routing", "fractions"), [0.35, 0.45, 0.3], "routing: fractions should sum to 1, not 1."),
        (("routing", "fractions"), [0.5, 0.5], "routing: fractions should have one entry a model"),
        (("routing", "fractions", 0), -0.1, "routing.fractions[0]: should be at least 0"),
        (("routing", "fractions", 0), float("nan"), "routing.fractions[0]: should be"),
        (("routing", "thresholds"), [0.8, 0.35], "routing: thresholds should ascend"),
        (("routing", "thresholds"), [0.3], "routing: thresholds should have one entry fewer than"),
        (("routing", "thresholds", 1), float("inf"), "routing.thresholds[1]: should be a finite n"),
        (("routing", "models", 0), "llama-3.1-8b", "routing: models should differ"),
        (("routing", "models", 0), "other", "pool llama-3.2-3b-l4-tp1 serves llama-3.2-3b, which"),
        (("pools",), [], "pools: has 0 entries and should have at least 1"),
        (("pools", 0, "model"), "other", "pool llama-3.2-3b-l4-tp1 serves other, which is not in"),
        (("pools", 0, "gpu"), "t4", "pool llama-3.2-3b-l4-tp1 is on t4, which is not in spec.gpus"),
        (("pools", 0, "replicas"), 0, "pools[0].replicas: should be at least 1 (it is 0)"),
        (("pools", 0, "weight"), 0, "pools[0].weight: should be greater than 0 (it is 0)"),
        (("pools", 1, "weight"), 0.5, "weights of the pools of llama-3.1-8b should sum to 1"),
        (("pools", 1, "name"), "llama-3.1-8b-l40s-tp1", "two pools have one name"),
        (("models",), DATA["models"][1:], "pool llama-3.2-3b-l4-tp1 serves llama-3.2-3b, which is"),
        (("spec", "models"), ["a", "b", "c"], "routing.models should be the models of the spec"),
        (("spec", "gpus", "l4", "count"), -1, "spec.gpus.l4.count: should be at least 0 (it is -1"),
        (("source", "spec_hash"), "0" * 63, "source.spec_hash: should have at least 64 character"),
        (("predicted", "verdict"), "fine", "predicted.verdict: should be 'stable', 'strained' or"),
        (("predicted", "ttft", "p95"), -1, "predicted.ttft.p95: should be at least 0"),
        (("api_key",), "sk-1", "unknown key api_key; known keys: "),
        (("routing", "token"), "sk-1", "unknown key routing.token; "),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    path: tuple[str | int, ...], value: object, message: str
) -> None:
    assert problem_of(*path, value=value).startswith(message)


def test_a_model_with_queries_has_a_pool() -> None:
    pools = [part for part in DATA["pools"] if part["model"] != "llama-3.1-70b"]
    message = "llama-3.1-70b takes 20.0% of the queries but has no pool"
    assert problem_of("pools", value=pools).startswith(message)


def test_a_model_without_queries_needs_none() -> None:
    routing = Routing(models=["a", "b"], fractions=[1.0, 0.0], thresholds=[1.0])
    check_pools(routing, [pool("p", "a")])


@given(st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_weights_that_are_shares_sum_to_one(parts: list[int]) -> None:
    routing = Routing(models=["a"], fractions=[1.0], thresholds=[])
    weights = [part / sum(parts) for part in parts]
    check_pools(routing, [pool(f"p{i}", "a", weight) for i, weight in enumerate(weights)])
    if len(parts) > 1:
        with pytest.raises(ValueError, match="should sum to 1"):
            check_pools(routing, [pool(f"p{i}", "a", w) for i, w in enumerate(weights[1:])])


def test_gpus_are_those_of_all_replicas() -> None:
    part = Pool(
        name="p",
        model="m",
        gpu="l4",
        tensor_parallel=4,
        pipeline_parallel=2,
        replicas=3,
        weight=1.0,
    )
    assert (part.gpus_per_replica, part.gpus) == (8, 24)


def test_a_plan_has_no_field_for_a_secret() -> None:
    def names(schema: Any) -> Iterator[str]:
        if isinstance(schema, dict):
            yield from schema.get("properties", {})
            for part in schema.values():
                yield from names(part)
        elif isinstance(schema, list):
            for part in schema:
                yield from names(part)

    found = set(names(Plan.model_json_schema()))
    assert {"tensor_parallel", "trace", "spec_hash"} <= found
    secret = re.compile(r"secret|password|credential|bearer|auth|api_key|^token$|access_token")
    # The name of an environment variable, not what is in it.
    assert [name for name in found if secret.search(name)] == ["api_key_env"]


def test_a_plan_is_frozen() -> None:
    plan = Plan.model_validate(DATA)
    with pytest.raises(ValidationError):
        plan.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("part", ["env", "args"])
@pytest.mark.parametrize("name", ["HF_TOKEN", "api_key", "API-SECRET", "db_password"])
def test_an_engine_s_settings_take_no_secret(part: str, name: str) -> None:
    with pytest.raises(ValueError, match="should be set where the server runs"):
        ServedBy.model_validate({part: {name: "x"}})


def test_an_engine_s_settings_know_lengths_in_tokens() -> None:
    assert ServedBy(args={"max_num_batched_tokens": 64}).args == {"max_num_batched_tokens": 64}


def routing_of(policy: str, **changes: Any) -> Routing:
    fields: dict[str, Any] = {"models": ["a", "b"], "fractions": [0.7, 0.3], "policy": policy}
    settings = {
        "thresholds": {"thresholds": [0.5]},
        "utility": {"thresholds": [], "prices": [0.0, 0.1]},
        "cascade": {"thresholds": [0.5], "loads": [1.0, 0.3]},
    }
    return Routing.model_validate(fields | settings[policy] | changes)


@pytest.mark.parametrize("policy", ["thresholds", "utility", "cascade"])
def test_a_policy_comes_back_as_it_was_written(policy: str) -> None:
    routing = routing_of(policy)
    assert Routing.model_validate(routing.model_dump(mode="json")) == routing


def test_what_is_new_and_says_nothing_is_not_written() -> None:
    step = {"quality": 0.5, "thresholds": [0.5]}
    written = routing_of("thresholds", dial=[step]).model_dump(exclude_none=True)
    assert set(written) == {"models", "fractions", "thresholds", "dial"}
    assert written["dial"] == [step]


@pytest.mark.parametrize(
    ("policy", "changes", "message"),
    [
        ("thresholds", {"prices": [0.0, 0.1]}, "prices are for the policy utility"),
        ("thresholds", {"loads": [1.0, 0.3]}, "loads are for a cascade"),
        ("utility", {"prices": [0.1]}, "utility should have one price a model"),
        ("utility", {"thresholds": [0.5]}, "and no thresholds"),
        ("utility", {"dial": [{"quality": 0.5, "thresholds": []}]}, "utility of the dial should"),
        ("cascade", {"thresholds": []}, "thresholds should have one entry fewer"),
        ("cascade", {"loads": [1.0]}, "loads should have one entry a model"),
        ("cascade", {"loads": [0.6, 0.4]}, "cannot answer more queries than it is asked"),
    ],
)
def test_a_policy_is_set_by_what_it_needs(
    policy: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        routing_of(policy, **changes)


def test_thresholds_of_a_cascade_need_no_order() -> None:
    models = {"models": ["a", "b", "c"], "fractions": [0.7, 0.2, 0.1], "loads": [1.0, 0.3, 0.1]}
    assert routing_of("cascade", thresholds=[0.9, 0.2], **models).thresholds == [0.9, 0.2]


def test_a_model_that_is_asked_has_a_pool() -> None:
    routing = routing_of("cascade", fractions=[0.0, 1.0], loads=[1.0, 1.0])
    with pytest.raises(ValueError, match=r"a takes 100\.0% of the queries but has no pool"):
        check_pools(routing, [pool("p", "b")])
