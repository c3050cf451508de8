from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boute.context import Context, prepare
from boute.documents import dump_yaml
from boute.errors import DataError, InputError, ProfileError, SpecError
from boute.plan.model import Routing
from boute.profiles.catalog import load_gpu, load_model
from boute.routing.table import load_quality_table
from boute.spec.model import Spec

DATA: dict[str, Any] = {
    "models": ["llama-3.1-8b", "llama-3.1-70b"],
    "gpus": {"l40s": {"count": 4, "price_per_hour": 0.79}, "h100-sxm": {"count": 8}},
    "workload": {"trace": "azure-conversation", "duration_s": 60},
    "quality": {"table": "llama-3.1"},
}


def context_of(folder: Path = Path(), **changes: Any) -> Context:
    return prepare(Spec.model_validate(DATA | changes), folder, where="my.yaml")


@pytest.fixture(scope="module")
def context() -> Context:
    return context_of()


def test_prices_are_the_given_ones_or_those_of_the_catalog(context: Context) -> None:
    card = load_gpu("h100-sxm", Path())
    assert [supply.name for supply in context.supplies] == ["l40s", "h100-sxm"]
    assert context.supply("l40s").price_per_hour == 0.79
    assert context.supply("h100-sxm").price_per_hour == card.price.on_demand_per_hour
    assert context.supply("h100-sxm").card == card
    assert context.supply("h100-sxm").count == 8


def test_shapes_agree(context: Context) -> None:
    rows, models = context.quality.shape
    assert models == 2
    assert context.score.shape == (rows,)
    assert context.workload.output_tokens.shape == (len(context.workload), 2)
    assert context.workload.models == context.model_names
    assert np.array_equal(context.workload.score, context.score[context.workload.row])
    assert ((context.quality >= 0) & (context.quality <= 1)).all()


def test_the_longest_request_sets_the_length(context: Context) -> None:
    work = context.workload
    longest = max(
        int(tokens + outputs.max())
        for tokens, outputs in zip(work.input_tokens, work.output_tokens, strict=True)
    )
    assert context.max_model_len == longest


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b"]))
)
def test_cost_order_is_that_of_the_cards(order: tuple[str, ...]) -> None:
    context = context_of(models=list(order))
    assert context.model_names == ("llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b")
    table = load_quality_table(context.spec.quality, context.spec.models, Path())
    for index, name in enumerate(context.model_names):
        assert context.member(name).card == load_model(name, Path())
        column = table.quality[:, table.models.index(name)]
        assert np.array_equal(context.quality[:, index], column)


def test_quantised_weights_are_cheaper() -> None:
    small = {"name": "small", "card": "llama-3.1-8b", "weights": "bf16"}
    quick = {"name": "quick", "card": "llama-3.1-8b", "weights": "int4"}
    middle = {"name": "middle", "card": "llama-3.1-8b", "weights": "fp8"}
    assert context_of(models=[small, quick, middle]).model_names == ("quick", "middle", "small")


def test_a_name_that_is_not_there_is_a_key_error(context: Context) -> None:
    with pytest.raises(KeyError, match="llama-9"):
        context.member("llama-9")
    with pytest.raises(KeyError, match="t4"):
        context.supply("t4")


def test_the_same_spec_is_the_same_context(context: Context) -> None:
    again = context_of()
    assert again.spec_hash == context.spec_hash
    assert np.array_equal(again.workload.arrival_s, context.workload.arrival_s)
    assert np.array_equal(again.workload.output_tokens, context.workload.output_tokens)
    assert np.array_equal(again.score, context.score)


def test_another_seed_draws_another_workload(context: Context) -> None:
    other = context_of(workload=DATA["workload"] | {"seed": 1})
    assert not np.array_equal(other.workload.arrival_s[:20], context.workload.arrival_s[:20])


def test_a_spot_price_is_that_of_the_catalog() -> None:
    gpus = {"l40s": {"count": 1, "spot": True}, "l4": {"count": 1, "spot": True}}
    context = context_of(gpus=gpus)
    for supply in context.supplies:
        assert supply.price_per_hour == supply.card.price.spot_per_hour


def test_a_given_price_beats_the_spot_price() -> None:
    gpus = {"l40s": {"count": 1, "spot": True, "price_per_hour": 0.5}}
    assert context_of(gpus=gpus).supply("l40s").price_per_hour == 0.5


def test_a_missing_spot_price_names_the_key(tmp_path: Path) -> None:
    card = load_gpu("l4", tmp_path)
    price = card.price.model_copy(update={"spot_per_hour": None, "spot_source": None})
    data = card.model_copy(update={"price": price, "name": "mine"}).model_dump(exclude_none=True)
    (tmp_path / "mine.yaml").write_text(dump_yaml(data), "utf-8")
    gpus = {"own": {"count": 1, "spot": True, "card": "mine.yaml"}}
    with pytest.raises(SpecError) as caught:
        context_of(tmp_path, gpus=gpus)
    assert str(caught.value) == (
        "my.yaml: gpus.own.spot: the catalog has no spot price for mine; "
        "set gpus.own.price_per_hour"
    )


def test_the_size_of_a_node_can_be_given() -> None:
    context = context_of(gpus={"h100-sxm": {"count": 8, "node_gpus": 2}, "l40s": {"count": 4}})
    assert context.supply("h100-sxm").card.node_gpus == 2
    assert context.supply("l40s").card == load_gpu("l40s", Path())


def test_a_gpu_of_which_there_are_none_is_left_out() -> None:
    context = context_of(gpus={"l40s": {"count": 0}, "h100-sxm": {"count": 8}})
    assert [supply.name for supply in context.supplies] == ["h100-sxm"]
    with pytest.raises(SpecError, match=r"^my\.yaml: gpus: every count is 0; give at least one"):
        context_of(gpus={"l40s": {"count": 0}})


def test_a_length_that_is_too_short_names_the_key(context: Context) -> None:
    limit = context.max_model_len
    assert context_of(engine={"max_model_len": limit}).max_model_len == limit
    assert context_of(engine={"max_model_len": limit + 1}).max_model_len == limit + 1
    with pytest.raises(SpecError) as caught:
        context_of(engine={"max_model_len": limit - 1})
    assert str(caught.value).startswith(
        f"my.yaml: engine.max_model_len: {limit - 1} is shorter than the longest request ({limit} "
    )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"models": ["llama-3.1-8b", "llama-3.1-7b"]},
            ProfileError,
            "my.yaml: models[1]: there is",
        ),
        ({"gpus": {"l40": {"count": 1}}}, ProfileError, "my.yaml: gpus.l40: there is no GPU card"),
        (
            {"gpus": {"big": {"count": 1, "card": "none.yaml"}}},
            ProfileError,
            "none.yaml: cannot be read",
        ),
        (
            {"workload": {"trace": "azure-conversation", "start_s": 1e9}},
            DataError,
            "my.yaml: workload.start_s: ",
        ),
        (
            {"workload": {"trace": "azure-conversation", "columns": {"arrival": "t"}}},
            DataError,
            "my.yaml: workload.columns: ",
        ),
        ({"workload": {"trace": "none.csv"}}, DataError, "none.csv: "),
        ({"quality": {"table": "none.csv"}}, DataError, "none.csv: "),
        ({"quality": {"table": "llama-3.1", "query": "q"}}, DataError, "my.yaml: quality: "),
        ({"models": ["qwen3-8b"]}, DataError, "my.yaml: quality.table llama-3.1: "),
    ],
)
def test_an_error_names_the_file_or_the_key_of_the_spec(
    changes: dict[str, Any], error: type[InputError], message: str
) -> None:
    with pytest.raises(error) as caught:
        context_of(**changes)
    assert str(caught.value).startswith(message)


def test_utility_needs_a_router_that_predicts() -> None:
    with pytest.raises(SpecError, match="a given score tells none") as caught:
        context_of(quality={"table": "llama-3.1", "policy": "utility"})
    assert "quality.policy" in caught.value.where


def test_a_routing_of_another_policy_is_refused(context: Context) -> None:
    routing = Routing(
        models=list(context.model_names),
        fractions=[0.5, 0.5],
        thresholds=[],
        policy="utility",
        prices=[0.0, 0.1],
    )
    with pytest.raises(InputError, match="is utility, and quality"):
        context.answers(routing)


def test_what_a_spec_of_thresholds_is_written_as_does_not_change() -> None:
    """Hashes of specs, and with them studies, are as they were before there were policies."""
    quality = Spec.model_validate(
        DATA | {"quality": {"table": "x", "policy": "thresholds"}}
    ).quality
    assert quality.model_dump().keys().isdisjoint({"policy", "confidence"})
    other = quality.model_copy(update={"policy": "cascade", "confidence": {"a": "b"}})
    assert other.model_dump()["policy"] == "cascade"
    assert other.model_dump()["confidence"] == {"a": "b"}
