from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from boute.errors import DataError, InputError
from boute.plan.model import Plan
from boute.plan.store import load_plan, save_plan
from boute.world import changed_spec, context_of

EXAMPLE = Path(__file__).parent / "plan" / "example.yaml"
MODELS = ("llama-3.2-3b", "llama-3.1-8b", "llama-3.1-70b")


@pytest.fixture
def plan() -> Plan:
    data = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    data["spec"]["quality"] = {"table": "../quality.csv"}
    data["spec"]["workload"]["generator"] |= {"rate_per_s": 5.0, "duration_s": 60.0}
    data["spec"]["engine"]["max_model_len"] = 131_072 * 2
    return Plan.model_validate(data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the plan is, with the quality table that its spec names in the folder above."""
    rows = [f"{i / 40},{i % 2},{max(i % 2, i % 3 > 0)},1" for i in range(40)]
    table = "\n".join([",".join(["score", *MODELS]), *rows]) + "\n"
    (tmp_path / "quality.csv").write_text(table, "utf-8")
    (tmp_path / "plans").mkdir()
    return tmp_path / "plans" / "plan-04.yaml"


def trace_file(folder: Path, requests: int = 50) -> Path:
    path = folder / "other.csv"
    rows = [f"{i / 10},100,20" for i in range(requests)]
    path.write_text("\n".join(["arrival_s,input_tokens,output_tokens", *rows]) + "\n", "utf-8")
    return path


def test_a_plan_stands_in_its_own_world(plan: Plan, path: Path) -> None:
    context = context_of(plan, path)
    assert context.spec == plan.spec
    assert context.model_names == MODELS
    assert context.max_model_len == 131_072 * 2
    assert len(context.table) == 40


def test_another_rate_scales_that_of_the_spec(plan: Plan, path: Path) -> None:
    once, twice = context_of(plan, path), context_of(plan, path, rate_scale=2.0)
    assert twice.spec.workload.rate_scale == 2.0
    assert len(twice.workload) > 1.5 * len(once.workload)


def test_another_trace_is_used_whole_from_where_the_user_is(
    plan: Plan, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    context = context_of(plan, path, trace=Path("other.csv"), rate_scale=2.0)
    assert len(context.workload) == 50
    assert context.workload.arrival_s[-1] == pytest.approx(4.9 / 2)
    assert context.spec.workload.seed == plan.spec.workload.seed
    # The limit of the plan's own requests is not that of others.
    assert context.max_model_len < 1000


def test_a_trace_that_is_not_there_is_named(plan: Plan, path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv"):
        context_of(plan, path, trace=Path("none.csv"))


@pytest.mark.parametrize("rate_scale", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_rate_that_cannot_be_is_an_error(plan: Plan, path: Path, rate_scale: float) -> None:
    with pytest.raises(InputError, match=r"workload\.rate_scale"):
        context_of(plan, path, rate_scale=rate_scale)


def test_prices_and_supply_change_and_nothing_else(plan: Plan) -> None:
    changed = changed_spec(plan.spec, rate_scale=3.0, prices={"l40s": 0.5}, without=("l4", "a10g"))
    assert list(changed.gpus) == ["l40s", "h100-sxm"]
    assert changed.gpus["l40s"].price_per_hour == 0.5
    assert changed.gpus["l40s"].count == plan.spec.gpus["l40s"].count
    assert changed.gpus["h100-sxm"] == plan.spec.gpus["h100-sxm"]
    assert changed.workload.rate_scale == 3.0
    assert changed.models == plan.spec.models
    assert changed_spec(plan.spec) == plan.spec


def test_the_price_that_is_asked_about_beats_the_spot_price(plan: Plan) -> None:
    gpus = {"l40s": plan.spec.gpus["l40s"].model_copy(update={"spot": True})}
    spec = plan.spec.model_copy(update={"gpus": gpus})
    assert changed_spec(spec, prices={"l40s": 0.5}).gpus["l40s"].price_per_hour == 0.5


def test_a_gpu_type_that_the_spec_does_not_have_is_named(plan: Plan) -> None:
    with pytest.raises(InputError, match="--price: t4 is not among the GPU types of the"):
        changed_spec(plan.spec, prices={"t4": 1.0})
    with pytest.raises(InputError, match="b200 is not among"):
        changed_spec(plan.spec, without=("b200",))


def test_a_world_without_gpus_is_an_error(plan: Plan) -> None:
    with pytest.raises(InputError, match="no GPU type is left"):
        changed_spec(plan.spec, without=tuple(plan.spec.gpus))


def test_a_plan_read_back_asks_the_same_question(plan: Plan, path: Path) -> None:
    asked = context_of(plan, path).spec_hash
    save_plan(plan, path)
    assert context_of(load_plan(path), path).spec_hash == asked
