from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from pydantic import ValidationError

from boute.documents import check_document, dump_yaml, parse_yaml
from boute.errors import SpecError
from boute.metrics import METRICS
from boute.spec import Engine, Search, Spec, Targets

SMALLEST: dict[str, Any] = {
    "models": ["llama-3.1-8b", "llama-3.1-70b"],
    "gpus": {"l40s": {"count": 4}, "H100.SXM": {"count": 0}},
    "workload": {"trace": "azure-conversation"},
    "quality": {"table": "llama-3.1"},
}
LENGTHS = {"input_tokens": {"median": 900}, "output_tokens": {"median": 200, "sigma": 0.7}}


def problem_of(path: str, value: object) -> str:
    """The message for the smallest spec with one key (dots for nesting) set."""
    data = copy.deepcopy(SMALLEST)
    *folders, last = path.split("/")
    here = data
    for folder in folders:
        here = here.setdefault(folder, {})
    here[last] = value
    with pytest.raises(SpecError) as caught:
        check_document(data, Spec, where="boute.yaml", error=SpecError)
    message = str(caught.value)
    assert message.startswith("boute.yaml: ")
    assert len(message) < 300
    return message.removeprefix("boute.yaml: ")


def test_the_smallest_spec_has_every_default() -> None:
    spec = Spec.model_validate(SMALLEST)
    assert spec.model_names == ("llama-3.1-8b", "llama-3.1-70b")
    assert {choice.weights for choice in spec.models} == {"bf16"}
    assert spec.objectives == ["quality", "e2e_p95_s", "cost_per_hour"]
    assert spec.workload.rate_scale == 1.0
    assert spec.quality.output_length == "scaled"
    assert spec.targets == Targets()
    assert spec.engine == Engine()
    assert spec.search == Search()
    assert not spec.gpus["l40s"].spot


def test_a_name_is_short_for_a_choice() -> None:
    long = SMALLEST | {"models": [{"name": "llama-3.1-8b"}, {"name": "llama-3.1-70b"}]}
    assert Spec.model_validate(long) == Spec.model_validate(SMALLEST)


def test_the_default_spec_survives_being_written() -> None:
    spec = Spec.model_validate(SMALLEST)
    data, lines = parse_yaml(dump_yaml(spec.model_dump(mode="json")), where="f")
    assert check_document(data, Spec, where="f", lines=lines) == spec


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("modells", [], "unknown key modells; did you mean models?"),
        ("gpus/l40s/cuont", 1, "unknown key gpus.l40s.cuont; did you mean count?"),
        ("engine/max_seqs", 1, "unknown key engine.max_seqs; did you mean max_num_seqs?"),
        ("search/evals", 1, "unknown key search.evals; did you mean evaluations?"),
        # Wrong units.
        ("targets/ttft_p95_ms", 500, "unknown key targets.ttft_p95_ms; did you mean ttft_p95_s?"),
        ("targets/budget", 40, "unknown key targets.budget; did you mean budget_per_hour?"),
        ("gpus/l40s/price", 1, "unknown key gpus.l40s.price; did you mean price_per_hour?"),
        ("workload/duration", 60, "unknown key workload.duration; did you mean duration_s?"),
        ("search/time_limit", 60, "unknown key search.time_limit; did you mean time_limit_s?"),
        ("targets/e2e_p95_s", "5s", "targets.e2e_p95_s: should be a number (it is '5s')"),
        ("targets/quality_min", "70%", "targets.quality_min: should be a number (it is '70%')"),
        ("objectives", ["quality", "e2e_p95_ms"], "objectives: e2e_p95_ms is not a metric; did yo"),
        # Numbers out of range.
        ("gpus/l40s/count", -1, "gpus.l40s.count: should be at least 0 (it is -1)"),
        ("gpus/l40s/count", 1.5, "gpus.l40s.count: should be a whole number (it is 1.5)"),
        ("gpus/l40s/count", 10**6, "gpus.l40s.count: should be at most 4096 (it is 1000000)"),
        ("gpus/l40s/count", True, "gpus.l40s.count: should not be true or false (it is True)"),
        ("gpus/l40s/price_per_hour", 0, "gpus.l40s.price_per_hour: should be greater than 0 "),
        ("gpus/l40s/price_per_hour", float("nan"), "gpus.l40s.price_per_hour: should be a finite "),
        ("gpus/l40s/node_gpus", 0, "gpus.l40s.node_gpus: should be at least 1 (it is 0)"),
        ("workload/rate_scale", -2, "workload.rate_scale: should be greater than 0 (it is -2)"),
        ("workload/rate_scale", float("inf"), "workload.rate_scale: should be a finite number "),
        ("workload/start_s", -1, "workload.start_s: should be at least 0.0 (it is -1)"),
        ("workload/max_requests", 0, "workload.max_requests: should be at least 1 (it is 0)"),
        ("workload/seed", -1, "workload.seed: should be at least 0 (it is -1)"),
        ("workload/seed", 2**63, "workload.seed: should be less than 9223372036854775808 "),
        ("targets/quality_min", 1.2, "targets.quality_min: should be at most 1.0 (it is 1.2)"),
        ("targets/quality_min", -0.1, "targets.quality_min: should be at least 0.0 (it is -0.1)"),
        ("targets/ttft_p95_s", 0, "targets.ttft_p95_s: should be greater than 0 (it is 0)"),
        ("targets/budget_per_hour", -5, "targets.budget_per_hour: should be greater than 0 "),
        ("engine/gpu_memory_utilization", 1.1, "engine.gpu_memory_utilization: should be at most"),
        ("engine/block_size", 12, "engine.block_size: should be 8, 16, 32, 64 or 128 (it is 12)"),
        ("search/evaluations", 0, "search.evaluations: should be at least 1 (it is 0)"),
        (
            "search/sampler",
            "random",
            "search.sampler: should be 'mobo', 'mobo-gp', 'exact', 'nsga2', 'sobol', ",
        ),
        # Models.
        ("models", [], "models: has 0 entries and should have at least 1"),
        ("models", "llama-3.1-8b", "models: should be a list (it is 'llama-3.1-8b')"),
        ("models", [8], "models[0]: should be a mapping of keys to values (it is 8)"),
        ("models", ["meta/llama"], "models[0]: should be a name of letters, digits, '.', '-' and "),
        ("models", ["a", "b", "a"], "models: a is given twice"),
        ("models", ["a", {"name": "a", "weights": "fp8"}], "models: a is given twice"),
        ("models", ["a", {"weights": "fp8"}], "models[1].name is missing; add it"),
        (
            "models",
            ["a", {"name": "b", "weights": "fp9"}],
            "models[1].weights: should be 'bf16', 'fp8' or 'int4' (it is 'fp9')",
        ),
        (
            "models",
            ["a", {"name": "b", "weight": "fp8"}],
            "unknown key models[1].weight; did you mean weights?",
        ),
        # GPUs.
        ("gpus", {}, "gpus: has 0 entries and should have at least 1"),
        ("gpus", ["l40s"], "gpus: should be a mapping of keys to values"),
        ("gpus/l40s", 4, "gpus.l40s: should be a mapping of keys to values (it is 4)"),
        ("gpus/a b", {"count": 1}, "gpus.a b: should be a name of letters, digits, '.', '-' and "),
        ("gpus/l40s", {"spot": True}, "gpus.l40s.count is missing; add it"),
        # Objectives.
        ("objectives", ["quality"], "objectives: has 1 entries and should have at least 2"),
        ("objectives", list(METRICS[:5]), "objectives: has 5 entries and should have at most 4"),
        ("objectives", ["quality", "quality"], "objectives: quality is given twice"),
        ("objectives", ["quality", "speed"], "objectives: speed is not a metric; "),
        # Workload and quality.
        ("workload", {}, "workload: give either trace or generator"),
        ("workload/generator", {"rate_per_s": 1} | LENGTHS, "workload: give either trace or gener"),
        ("workload/columns", {"arival": "t"}, "workload.columns.arival: should be 'arrival', 'in"),
        ("workload/trace", 7, "workload.trace: should be text (it is 7)"),
        ("quality/table", "a\0b", "quality.table: should name a file or something that boute ship"),
        ("quality/table", "x" * 300, "quality.table: should name a file or something that boute s"),
        ("quality/output_unit", "words", "quality.output_unit: should be 'tokens' or 'chars' "),
        ("quality/features", "length", "quality.features: should be a list (it is 'length')"),
        ("targets", None, "targets: should be a mapping of keys to values (it is empty)"),
    ],
)
def test_wrong_input_is_one_line_that_names_the_key(path: str, value: object, message: str) -> None:
    assert problem_of(path, value).startswith(message)


@pytest.mark.parametrize("key", ["models", "gpus", "workload", "quality"])
def test_what_has_no_default_is_asked_for(key: str) -> None:
    data = {name: value for name, value in SMALLEST.items() if name != key}
    with pytest.raises(SpecError, match=rf"^boute\.yaml: {key} is missing; add it$"):
        check_document(data, Spec, where="boute.yaml", error=SpecError)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate_per_s": 0}, "workload.generator.rate_per_s: should be greater than 0 (it is 0)"),
        ({"arrivals": "bursty"}, "workload.generator.arrivals: should be 'poisson', 'gamma', 'on"),
        ({"amplitude": 1.5}, "workload.generator.amplitude: should be at most 1.0 (it is 1.5)"),
        (
            {"arrivals": "on-off", "burst_factor": 10, "on_s": 30, "off_s": 60},
            "workload.generator: burst_factor should be at most (on_s + off_s) / on_s = 3",
        ),
        (
            {"input_tokens": {"median": 5, "minimum": 9, "maximum": 8}},
            "workload.generator.input_tokens: minimum should not exceed maximum",
        ),
        (
            {"input_tokens": {"median": 5, "sgima": 1}},
            "unknown key workload.generator.input_tokens.sgima; did you mean sigma?",
        ),
        (
            {"output_tokens": {"sigma": 1}},
            "workload.generator.output_tokens.median is missing; add it",
        ),
        ({"rate": 3}, "unknown key workload.generator.rate; did you mean rate_per_s?"),
    ],
)
def test_a_wrong_generator_is_named(change: dict[str, Any], message: str) -> None:
    generator = {"rate_per_s": 2.0} | LENGTHS | change
    assert problem_of("workload", {"generator": generator}).startswith(message)


def test_the_burst_factor_is_limited_for_bursts_only() -> None:
    generator = {"rate_per_s": 2.0, "burst_factor": 50} | LENGTHS
    spec = Spec.model_validate(SMALLEST | {"workload": {"generator": generator}})
    assert spec.workload.generator is not None
    assert spec.workload.generator.burst_factor == 50


def test_a_spec_is_frozen() -> None:
    spec = Spec.model_validate(SMALLEST)
    with pytest.raises(ValidationError):
        spec.objectives = []


def test_the_schema_for_editors_allows_the_short_form_and_knows_the_limits() -> None:
    schema = Spec.model_json_schema()
    json.dumps(schema)
    models = schema["properties"]["models"]
    assert {"string"} == {item.get("type") for item in models["items"]["anyOf"] if "type" in item}
    assert (models["minItems"], models["maxItems"]) == (1, 16)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["models", "gpus", "workload", "quality"]


RUNS = {"model": "llama-3.1-8b", "gpu": "l4", "replicas": 2}


def test_what_runs_is_a_plan_file_or_its_pools() -> None:
    assert Spec.model_validate(SMALLEST | {"current": "out/plans/plan-01.yaml"}).current
    pools = Spec.model_validate(SMALLEST | {"current": [RUNS]}).current
    assert isinstance(pools, list)
    assert (pools[0].replicas, pools[0].weights, pools[0].tensor_parallel) == (2, "bf16", 1)


@pytest.mark.parametrize(
    ("current", "message"),
    [
        ([RUNS | {"replicas": 0}], r"current\[0\].replicas: should be at least 1"),
        ([{"model": "llama-3.1-8b", "gpu": "l4"}], r"current\[0\].replicas is missing"),
        ([RUNS | {"tensor_paralel": 2}], r"unknown key .*tensor_paralel; did you mean tensor_p"),
        (3, "current: should be text"),
        ("", "current: should have at least 1"),
    ],
)
def test_what_runs_is_checked_and_named(current: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_document(SMALLEST | {"current": current}, Spec, where="boute.yaml", error=SpecError)
