from __future__ import annotations

from pathlib import Path

import pytest

from boute.errors import OutputError, PlanError
from boute.plan.model import Plan
from boute.plan.store import load_plan, plan_text, save_plan

EXAMPLE = Path(__file__).parent / "example.yaml"


@pytest.fixture
def plan() -> Plan:
    return load_plan(EXAMPLE)


def test_a_plan_is_read_as_it_was_written(plan: Plan, tmp_path: Path) -> None:
    save_plan(plan, tmp_path / "a.yaml")
    back = load_plan(tmp_path / "a.yaml")
    assert back == plan
    save_plan(back, tmp_path / "b.yaml")
    assert (tmp_path / "a.yaml").read_bytes() == (tmp_path / "b.yaml").read_bytes()


def test_what_is_not_set_is_not_written(plan: Plan) -> None:
    assert "null" not in plan_text(plan)


def test_a_plan_cut_short_anywhere_is_an_error_with_its_line(plan: Plan, tmp_path: Path) -> None:
    text = plan_text(plan)
    lines = text.splitlines(keepends=True)
    # At the end of every tenth line, and everywhere in the last ones.
    cuts = [sum(map(len, lines[:n])) for n in range(0, len(lines), 10)]
    cuts += [*range(len(text) - 150, len(text) - 1, 3), len(text) - 2]
    path = tmp_path / "plan.yaml"
    for cut in cuts:
        path.write_text(text[:cut], "utf-8")
        with pytest.raises(PlanError) as caught:
            load_plan(path)
        assert str(caught.value).startswith(f"{path}:")
        assert "\n" not in str(caught.value)


def test_a_wrong_value_names_its_line(plan: Plan, tmp_path: Path) -> None:
    text = plan_text(plan)
    line = text.splitlines().index("  replicas: 3") + 1
    path = tmp_path / "plan.yaml"
    path.write_text(text.replace("  replicas: 3", "  replicas: -3", 1), "utf-8")
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    assert str(caught.value) == (
        f"{path}:{line}: pools[0].replicas: should be at least 1 (it is -3)"
    )


def test_a_spec_is_no_plan(tmp_path: Path) -> None:
    path = tmp_path / "boute.yaml"
    path.write_text("models: [llama-3.1-8b]\ngpus: {l40s: {count: 1}}\n", "utf-8")
    with pytest.raises(PlanError, match=r"boute\.yaml:1: models\[0\]: should be a mapping"):
        load_plan(path)


def test_a_missing_plan_is_a_plan_error(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"none\.yaml: cannot be read"):
        load_plan(tmp_path / "none.yaml")


def test_a_plan_that_cannot_be_written_is_an_output_error(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "plans").write_text("", "utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        save_plan(plan, tmp_path / "plans" / "plan-01.yaml")
