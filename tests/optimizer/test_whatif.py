from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from boute.errors import InputError
from boute.optimizer.run import Request, optimize
from boute.optimizer.whatif import Change, Row, compare
from boute.spec.model import Spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, spec_of: Callable[..., Spec]) -> Path:
    """A spec file and the plans of a short search."""
    folder = tmp_path_factory.mktemp("whatif")
    spec = folder / "boute.yaml"
    spec.write_text(json.dumps(spec_of().model_dump(mode="json", exclude_unset=True)))
    optimize(Request(spec, folder / "out", sampler="sobol", evaluations=12, seed=1))
    return folder


def plan_of(folder: Path) -> Path:
    return folder / "out" / "plans" / "plan-01.yaml"


def by_label(rows: list[Row]) -> dict[str, Row]:
    return {row.label: row for row in rows}


def test_a_plan_before_and_after_a_price(folder: Path) -> None:
    rows = compare(plan_of(folder), Change(prices={"l40s": 1.98}), evaluations=10, seed=0)
    before, after, anew = rows
    assert [row.label for row in rows] == ["plan-01 before", "plan-01 after", "planned anew"]
    assert before.gpus == after.gpus
    dearer = 0.99 * before.gpus.get("l40s", 0)
    assert after.objectives["cost_per_hour"] == pytest.approx(
        before.objectives["cost_per_hour"] + dearer
    )
    assert after.objectives["quality"] == before.objectives["quality"]
    assert set(anew.objectives) == set(before.objectives)


@pytest.mark.parametrize("change", [Change(rate_scale=10.0), Change(rate_per_s=40.0)], ids=str)
def test_a_plan_under_a_higher_rate_is_slower(folder: Path, change: Change) -> None:
    before, after, _ = compare(plan_of(folder), change, evaluations=8, seed=0)
    assert after.objectives["e2e_p95_s"] > before.objectives["e2e_p95_s"]
    assert after.objectives["cost_per_hour"] == pytest.approx(before.objectives["cost_per_hour"])


def test_a_plan_cannot_run_without_its_gpus(folder: Path) -> None:
    (gpu, *_) = by_label(compare(plan_of(folder), Change(), 8, 0))["plan-01 before"].gpus
    rows = by_label(compare(plan_of(folder), Change(without=(gpu,)), evaluations=8, seed=0))
    assert rows["plan-01 after"].objectives == {}
    assert rows["plan-01 after"].verdict == f"cannot run without {gpu}"
    assert gpu not in rows["planned anew"].gpus


def test_the_best_of_a_spec_before_and_after(folder: Path) -> None:
    rows = compare(folder / "boute.yaml", Change(without=("h100-sxm",)), evaluations=10, seed=0)
    assert [row.label for row in rows] == ["best plan before", "best plan after"]
    assert set(rows[1].gpus) == {"l40s"}
    assert rows[0].as_dict()["objectives"] == rows[0].objectives


def test_a_change_that_leaves_nothing_feasible_says_what_binds(folder: Path) -> None:
    rows = compare(folder / "boute.yaml", Change(rate_scale=100.0), evaluations=8, seed=0)
    after = by_label(rows)["best plan after"]
    assert after.objectives == {}
    assert "binds" in after.verdict


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change(without=("t4",)), "t4 is not among the GPU types"),
        (Change(prices={"t4": 1.0}), "t4 is not among the GPU types"),
        (Change(without=("l40s", "h100-sxm")), "no GPU type is left"),
    ],
    ids=["unknown-type", "unknown-price", "nothing-left"],
)
def test_changes_that_make_no_sense_are_refused(folder: Path, change: Change, words: str) -> None:
    for file in (folder / "boute.yaml", plan_of(folder)):
        with pytest.raises(InputError, match=words):
            compare(file, change, evaluations=4, seed=0)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as info:
        compare(tmp_path / "plan.yaml", Change(), 4, 0)
    assert info.value.where == str(tmp_path / "plan.yaml")
