"""docs/spec.md names every key of the spec with its true default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from boute.metrics import METRICS
from boute.spec.family import ModelChoice, ServedBy
from boute.spec.model import Engine, GpuSupply, RunningPool, Search, Spec
from boute.spec.quality import Quality
from boute.spec.targets import Targets
from boute.spec.workload import Generator, LengthDistribution, WorkloadSource

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "spec.md").read_text("utf-8")
SECTIONS: list[tuple[str, type[BaseModel]]] = [
    ("## models", ModelChoice),
    ("### models.served_by", ServedBy),
    ("## gpus", GpuSupply),
    ("## workload", WorkloadSource),
    ("### workload.generator", Generator),
    ("Lengths are lognormal:", LengthDistribution),
    ("## quality", Quality),
    ("## engine", Engine),
    ("## current", RunningPool),
    ("## search", Search),
]


def table_after(heading: str) -> dict[str, str]:
    """The first table after a heading: key to the cell beside it."""
    after = PAGE[PAGE.index(f"\n{heading}\n") :]
    rows = re.split(r"\n(?!\|)", after[after.index("\n| key") + 1 :])[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0].strip("`"): row[1] for row in cells}


@pytest.mark.parametrize(("heading", "kind"), SECTIONS)
def test_the_page_tells_every_key_and_its_default(heading: str, kind: type[BaseModel]) -> None:
    table = table_after(heading)
    assert list(table) == list(kind.model_fields)
    for name, field in kind.model_fields.items():
        told = table[name]
        assert (told == "required") == field.is_required(), name
        default: Any = field.get_default(call_default_factory=True)
        if isinstance(default, bool | str | int | float):
            assert yaml.safe_load(told.strip("`")) == default, name


def test_the_page_tells_every_section_target_and_metric() -> None:
    for name in Spec.model_fields:
        assert f"\n## {name}\n" in PAGE
    for name in Targets.model_fields:
        assert f"`{name}`" in PAGE
    spelt = re.sub(
        r"`\{([\w,]+)\}_\{([\w,]+)\}_s`",
        lambda found: " ".join(
            f"`{latency}_{statistic}_s`"
            for latency in found[1].split(",")
            for statistic in found[2].split(",")
        ),
        PAGE,
    )
    for name in METRICS:
        assert f"`{name}`" in spelt
    assert f"`[{', '.join(Spec.model_fields['objectives'].default)}]`" in PAGE


def test_the_example_of_the_page_is_a_spec() -> None:
    found = re.search(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert found is not None
    spec = Spec.model_validate(yaml.safe_load(found[1]))
    assert spec.targets.budget_per_hour == 40
