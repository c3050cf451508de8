from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute import errors
from boute.errors import (
    BouteError,
    InfeasibleError,
    InputError,
    OutputError,
    ServingError,
    nearest,
)

KINDS = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
texts = st.text(max_size=80)


def test_a_message_says_where_what_and_how_to_mend_it() -> None:
    error = InputError("is -1", where="boute.yaml:7: gpus.l4.count", mend="give 0 or more")
    assert str(error) == "boute.yaml:7: gpus.l4.count: is -1; give 0 or more"
    assert str(InputError("is -1")) == "is -1"
    assert str(InputError("is -1", mend="give 0")) == "is -1; give 0"


@pytest.mark.parametrize("kind", KINDS)
@given(problem=texts, where=texts, mend=texts)
def test_a_message_is_one_line_that_a_terminal_can_show(
    kind: type[BouteError], problem: str, where: str, mend: str
) -> None:
    message = str(kind(problem, where=where, mend=mend))
    assert len(message.splitlines()) <= 1
    assert message.isprintable()
    message.encode("utf-8")


@pytest.mark.parametrize("kind", KINDS)
@given(problem=texts, where=texts, mend=texts)
def test_an_error_comes_back_whole_from_a_worker(
    kind: type[BouteError], problem: str, where: str, mend: str
) -> None:
    error = kind(problem, where=where, mend=mend)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (back.problem, back.where, back.mend) == (problem, where, mend)
    assert str(back) == str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_exit_codes(kind: type[BouteError]) -> None:
    assert kind.exit_code == (3 if kind is InfeasibleError else 2)


def test_the_tree_is_the_one_that_the_module_draws() -> None:
    inputs = {kind for kind in KINDS if issubclass(kind, InputError)}
    assert inputs == set(KINDS) - {BouteError, OutputError, ServingError, InfeasibleError}
    assert all(issubclass(kind, BouteError) for kind in KINDS)
    for kind in KINDS:
        assert kind.__name__ in (errors.__doc__ or "")


def test_nearest_finds_a_misspelt_name_whatever_its_case() -> None:
    assert nearest("ttft_p95_ms", ["tpot_p95_s", "ttft_p95_s"], "keys") == (
        "did you mean ttft_p95_s?"
    )
    assert nearest("h100-SXM", ["L40S", "H100-SXM"], "GPUs") == "did you mean H100-SXM?"


def test_nearest_knows_a_name_without_its_unit() -> None:
    assert nearest("price", ["count", "price_per_hour"], "keys") == "did you mean price_per_hour?"


def test_nearest_knows_a_name_without_its_variant() -> None:
    names = ["h100-pcie", "h100-sxm", "h200"]
    assert nearest("H100", names, "GPUs") == "did you mean h100-pcie or h100-sxm?"
    assert nearest("H100", [*names, "h100"], "GPUs") == "did you mean h100?"
    assert nearest("l4", [f"l4-{i}" for i in range(9)], "GPUs").count(" or ") == 2


def test_nearest_takes_several_names_that_would_have_done() -> None:
    assert nearest(["smal", "quality_smal"], ["quality_small", "big"], "columns") == (
        "did you mean quality_small?"
    )
    assert nearest(["id", "key"], ["ids", "keys"], "columns") == "did you mean ids or keys?"
    assert nearest(["x", "y"], ["abc"], "columns") == "known columns: abc"


def test_nearest_lists_what_is_known_when_nothing_is_near() -> None:
    assert nearest("xyz", ["a", "b"], "keys") == "known keys: a, b"
    assert nearest("xyz", (f"name{i}" for i in range(20)), "keys").endswith("name11 and 8 more")
    assert nearest("xyz", [], "keys") == "remove it"
