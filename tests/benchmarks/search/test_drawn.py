from __future__ import annotations

from pathlib import Path

from benchmarks.search.drawn import draw_case, draw_small
from boute.spec.load import load_spec


def test_a_number_draws_the_same_spec_everywhere(tmp_path: Path) -> None:
    for number in range(6):
        one, two = draw_case(number, tmp_path / "one"), draw_case(number, tmp_path / "two")
        assert one.read_bytes() == two.read_bytes()
        assert [p.read_bytes() for p in one.parent.glob(f"*{number}.csv")] == [
            p.read_bytes() for p in two.parent.glob(f"*{number}.csv")
        ]


def test_draws_are_specs_of_many_kinds(tmp_path: Path) -> None:
    specs = [load_spec(draw_case(number, tmp_path)) for number in range(40)]
    assert {len(spec.models) for spec in specs} >= {2, 3, 4, 5, 6}
    assert {len(spec.gpus) for spec in specs} >= {1, 2, 4, 6}
    assert {len(spec.objectives) for spec in specs} == {2, 3, 4}
    assert {spec.workload.trace for spec in specs} == {None, "azure-code", "azure-conversation"}
    assert {spec.targets.budget_per_hour is None for spec in specs} == {True, False}


def test_small_ones_have_few_plans_of_every_kind(tmp_path: Path) -> None:
    specs = [load_spec(draw_small(number, tmp_path)) for number in range(20)]
    assert max(sum(gpu.count for gpu in spec.gpus.values()) for spec in specs) <= 12
    assert {len(spec.models) for spec in specs} == {2, 3}
    assert {len(spec.objectives) for spec in specs} == {2, 3}
