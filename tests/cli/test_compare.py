from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def spec(folder: Path, small_spec: Callable[..., dict[str, Any]]) -> Path:
    path = folder / "boute.yaml"
    path.write_text(yaml.safe_dump(small_spec(), sort_keys=False))
    return path


SHORT = ("--evaluations", 8, "--seeds", 2)


def test_samplers_are_compared_by_evaluations_and_by_the_clock(spec: Path, boute: Any) -> None:
    ran = boute("compare", spec, "--samplers", "sobol,sequential", *SHORT, "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert [row["sampler"] for row in found] == ["sobol", "sequential"]
    assert found == json.loads(Path("out/compare.json").read_text())
    assert Path("out/compare.png").read_bytes().startswith(b"\x89PNG")
    for row in found:
        assert [run["seed"] for run in row["runs"]] == [0, 1]
        volume = row["hypervolume"]
        assert volume["least"] <= volume["median"] <= volume["most"]
        for run in row["runs"]:
            assert len(run["seconds"]) == len(run["hypervolume"]) == 8
            assert run["seconds"] == sorted(run["seconds"])
            assert run["hypervolume"] == sorted(run["hypervolume"])
    assert len(ran.err.splitlines()) == 4


def test_a_table_names_the_best_first(spec: Path, boute: Any) -> None:
    ran = boute("compare", spec, "--samplers", "single-model, sequential", *SHORT)
    assert ran.code == 0
    head, first, second = ran.out.splitlines()
    assert head.split() == ["Sampler", "Hypervolume", "Least", "Most", "Evaluations", "Seconds"]
    assert float(first.split()[1]) >= float(second.split()[1])
    assert ran.err.splitlines()[-1] == "curves: out/compare.png, out/compare.json"


def test_an_unknown_sampler_is_refused_before_anything_runs(spec: Path, boute: Any) -> None:
    ran = boute("compare", spec, "--samplers", "sobol,grid")
    assert ran.code == 2
    assert "unknown sampler grid" in ran.err
    assert not Path("out").exists()
