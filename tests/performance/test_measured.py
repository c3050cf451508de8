from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from boute.context import Context, prepare
from boute.documents import dump_yaml
from boute.errors import ProfileError, SpecError
from boute.evaluate import evaluate, run_fleet
from boute.performance import step
from boute.performance.build import build_replica
from boute.performance.measured import (
    Conditions,
    HeldOut,
    MeasuredEntry,
    MeasuredProfile,
    StepTimes,
    find_entry,
    load_measured,
    measured_costs,
    with_entry,
)
from boute.performance.memory import memory_plan
from boute.performance.power import load_power
from boute.performance.replica import Replica
from boute.performance.step import step_fixed_j, step_fixed_s
from boute.plan.decision import Decision
from boute.plan.model import Pool, Routing
from boute.profiles.catalog import load_gpu, load_model
from boute.profiles.gpu import GpuCard
from boute.simulation.pool import draw_candidates
from boute.simulation.reference import run_reference
from boute.spec.family import ModelChoice
from boute.spec.model import Engine, Spec

TIMES = StepTimes(
    floor_s=0.004, token_s=3e-5, sequence_s=1e-4, pair_s=2e-9, context_s=1e-8, request_s=0.05
)


def entry_of(model: str = "llama-3.1-8b", gpu: str = "l40s", **changes: Any) -> MeasuredEntry:
    parts: dict[str, Any] = {
        "gpu": gpu,
        "model": model,
        "weights": "bf16",
        "kv_cache": "bf16",
        "tensor_parallel": 1,
        "pipeline_parallel": 1,
        "made_on": datetime.date(2026, 1, 2),
        "engine": "vLLM 9.9",
        "times": TIMES,
        "kv_tokens": 200_000,
        "held_out": HeldOut(
            requests=100,
            rate_per_s=2.0,
            load=0.6,
            ttft_p50_s=0.1,
            ttft_p50_error=-0.3,
            e2e_p50_s=1.0,
            e2e_p50_error=0.02,
            e2e_p95_s=2.0,
            e2e_p95_error=-0.07,
            e2e_request_error=0.05,
        ),
        "conditions": Conditions(
            requests=500, concurrency=[1, 8], longest_tokens=512, rounds=5, seed=0
        ),
    }
    return MeasuredEntry(**(parts | changes))


def write(path: Path, *entries: MeasuredEntry) -> Path:
    path.write_text(dump_yaml(MeasuredProfile(entries=list(entries)).model_dump(mode="json")))
    return path


def build(measured: list[MeasuredEntry], gpu: str = "l40s", **changes: Any) -> Replica | str:
    parts = {"tensor_parallel": 1, "pipeline_parallel": 1, "max_model_len": 4096, **changes}
    choice = ModelChoice(name="llama-3.1-8b", weights=parts.pop("weights", "bf16"))
    return build_replica(
        load_model("llama-3.1-8b", Path()),
        load_gpu(gpu, Path()),
        choice,
        Engine(),
        measured=measured,
        **parts,
    )


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    entries = [entry_of(), entry_of(kv_cache="fp8", kv_tokens=None)]
    path = write(tmp_path / "measured.yaml", *entries)
    assert load_measured(path).entries == entries


def test_files_that_are_wrong_are_told_by_line(tmp_path: Path) -> None:
    path = tmp_path / "measured.yaml"
    once = dump_yaml(MeasuredProfile(entries=[entry_of()]).model_dump(mode="json"))
    path.write_text(once.replace("floor_s: 0.004", "floor_s: -1"))
    with pytest.raises(ProfileError, match=r"measured.yaml:\d+: entries\[0\].times.floor_s"):
        load_measured(path)
    path.write_text(once + once.split("entries:\n")[1])
    with pytest.raises(ProfileError, match=r"llama-3.1-8b on l40s .* is there twice"):
        load_measured(path)


def test_an_entry_takes_the_place_of_its_like() -> None:
    old, other = entry_of(), entry_of(gpu="h100-sxm")
    new = entry_of(engine="vLLM 10")
    assert with_entry([old, other], new) == [new, other]
    assert with_entry([other], new) == [other, new]
    assert find_entry([other], new.key) is None


@given(st.integers(1, 4096), st.integers(1, 256), st.floats(0, 1e6), st.floats(0, 1e6))
def test_steps_are_linear_in_what_was_measured(
    tokens: int, sequences: int, pairs: float, context: float
) -> None:
    costs = measured_costs(TIMES, 300.0, load_power())
    seconds = step_fixed_s(costs, tokens, sequences)
    assert seconds == pytest.approx(0.004 + 3e-5 * tokens + 1e-4 * sequences)
    seconds += costs[step.PAIR_S] * pairs + costs[step.CONTEXT_S] * context
    joules = step_fixed_j(costs, tokens, sequences)
    joules += costs[step.PAIR_J] * pairs + costs[step.CONTEXT_J] * context
    assert 0 < joules <= 300.0 * seconds
    assert step_fixed_j(measured_costs(TIMES, 0.0, load_power()), tokens, sequences) == 0


def test_a_replica_that_was_measured_is_made_of_it() -> None:
    replica = build([entry_of(gpu="h100-sxm"), entry_of()])
    assert isinstance(replica, Replica)
    assert replica.costs[step.LINEAR_TOKEN_S] == TIMES.token_s
    assert replica.kv_blocks == 200_000 // 16
    assert replica.latency_error == 0.07
    assert replica.request_s == TIMES.request_s


@pytest.mark.parametrize(
    "changes",
    [
        {"gpu": "h100-sxm"},
        {"model": "llama-3-8b"},
        {"weights": "fp8"},
        {"kv_cache": "fp8"},
        {"tensor_parallel": 2},
        {"pipeline_parallel": 2},
    ],
)
def test_another_replica_is_made_of_formulas(changes: dict[str, Any]) -> None:
    plain, beside = build([]), build([entry_of(**changes)])
    assert isinstance(plain, Replica)
    assert isinstance(beside, Replica)
    assert np.array_equal(beside.costs, plain.costs)
    assert beside.kv_blocks == plain.kv_blocks
    assert (beside.latency_error, beside.request_s) == (plain.latency_error, 0)


def test_the_room_is_that_of_the_formulas_where_none_was_told() -> None:
    plain, measured = build([]), build([entry_of(kv_tokens=None)])
    assert isinstance(plain, Replica)
    assert isinstance(measured, Replica)
    assert measured.kv_blocks == plain.kv_blocks
    assert build([entry_of(kv_tokens=4000)]) == (
        "has a KV cache of 4000 tokens, a request can be 4096"
    )


@pytest.fixture
def context_with(
    small_spec: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[..., Context]:
    def make(*files: list[MeasuredEntry]) -> Context:
        names = [write(tmp_path / f"m{n}.yaml", *file).name for n, file in enumerate(files)]
        return prepare(Spec.model_validate(small_spec(measured=names)), tmp_path)

    return make


def decision_of(context: Context) -> Decision:
    """All to the small model on three L40S."""
    small, _ = context.model_names
    return Decision(
        routing=Routing(models=list(context.model_names), fractions=[1, 0], thresholds=[1.0]),
        pools=(
            Pool(name="small", model=small, gpu="l40s", tensor_parallel=1, replicas=3, weight=1.0),
        ),
    )


def test_a_plan_is_evaluated_with_what_was_measured(context_with: Callable[..., Context]) -> None:
    context = context_with([entry_of()], [entry_of(model="llama-3.1-70b", gpu="h100-sxm")])
    decision, workload = decision_of(context), context.workload
    replica = build([entry_of()], max_model_len=context.max_model_len)
    assert isinstance(replica, Replica)
    _, requests = run_reference(
        replica,
        3,
        draw_candidates(workload.arrival_s, 3, context.spec.workload.seed + 1).candidates.tolist(),
        workload.arrival_s.tolist(),
        workload.input_tokens.tolist(),
        workload.output_tokens[:, 0].tolist(),
    )
    run = run_fleet(decision, workload, context)
    ttft_s = [each.first_s - each.arrival_s + TIMES.request_s for each in requests]
    e2e_s = [each.finish_s - each.arrival_s + TIMES.request_s for each in requests]
    assert run.ttft_s == pytest.approx(np.array(ttft_s))
    assert run.e2e_s == pytest.approx(np.array(e2e_s))
    outcome = evaluate(decision, workload, context)
    assert outcome.e2e.p95 == pytest.approx(np.percentile(e2e_s, 95))
    assert outcome.pools[0].ttft.p50 == pytest.approx(np.percentile(ttft_s, 50))
    assert outcome.latency_error == 0.07
    before = evaluate(decision, workload, context_with())
    assert before.latency_error != 0.07
    assert before.e2e.p50 != outcome.e2e.p50


def test_measured_files_count_in_the_hash_of_a_spec(context_with: Callable[..., Context]) -> None:
    assert context_with([entry_of()]).spec_hash == context_with([entry_of()]).spec_hash
    hashes = {
        context_with().spec_hash,
        context_with([entry_of()]).spec_hash,
        context_with([entry_of(engine="vLLM 10")]).spec_hash,
    }
    assert len(hashes) == 3


def test_measured_files_of_no_use_are_told(context_with: Callable[..., Context]) -> None:
    with pytest.raises(SpecError, match=r"measured\[1\]: m1.yaml measures .*, and so does"):
        context_with([entry_of()], [entry_of()])
    with pytest.raises(SpecError, match=r"measures none of the models \(it has gemma-2-9b\)"):
        context_with([entry_of(model="gemma-2-9b")])


def test_a_measured_file_that_is_not_there_is_told(
    small_spec: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    spec = Spec.model_validate(small_spec(measured=["nowhere.yaml"]))
    with pytest.raises(ProfileError, match=r"nowhere.yaml: cannot be read"):
        prepare(spec, tmp_path)


def cpu_card(**changes: Any) -> GpuCard:
    parts: dict[str, Any] = {
        "name": "cpu-core",
        "vendor": "cpu",
        "memory_gib": 40,
        "bandwidth_gb_s": 8,
        "bf16_tflops": 0.1,
        "node_gpus": 1,
        "idle_w": 0,
        "peak_w": 0,
        "price": {"on_demand_per_hour": 0.04, "read_on": "2026-01-02", "source": "a test"},
    }
    return GpuCard(**(parts | changes))


def test_a_core_has_all_the_memory_of_its_card_and_needs_no_links() -> None:
    card, model = cpu_card(), load_model("llama-3.1-8b", Path())
    assert card.interconnect.topology == "memory"
    plan = memory_plan(
        model,
        card,
        tp=1,
        pp=1,
        weights="bf16",
        kv_cache="bf16",
        engine=Engine(gpu_memory_utilization=1.0),
        max_model_len=4096,
    )
    parts = plan.weights_bytes + plan.activation_bytes + plan.kv_bytes
    assert plan.overhead_bytes == 0
    assert parts == pytest.approx(40 * 2**30)
    replica = build_replica(
        model,
        card,
        ModelChoice(name=model.name),
        Engine(),
        tensor_parallel=1,
        pipeline_parallel=1,
        max_model_len=4096,
        measured=[entry_of(gpu="cpu-core")],
    )
    assert isinstance(replica, Replica)
    assert replica.idle_w == 0
    assert step_fixed_j(replica.costs, 100, 10) == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vendor": "nvidia"}, "interconnect"),
        ({"vendor": "nvidia", "interconnect": cpu_card().interconnect}, "idle_w should be above"),
        ({"idle_w": 5}, "peak_w should be at least idle_w"),
    ],
)
def test_a_gpu_card_has_links_and_power(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cpu_card(**changes)


def test_the_card_in_the_docs_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "measure.md").read_text()
    blocks = [part.split("```")[0] for part in text.split("```yaml\n")[1:]]
    (card,) = (block for block in blocks if "vendor: cpu" in block)
    assert GpuCard.model_validate(yaml.safe_load(card)).interconnect.topology == "memory"
