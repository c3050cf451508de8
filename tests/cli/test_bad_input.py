"""Wrong specs and data: one line that says where and what, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

HEAD = "arrival_s,input_tokens,output_tokens\n"
TABLE = "score,llama-3.1-8b,llama-3.1-70b\n"
ROWS = "".join(f"{i / 40},{0.9 - i / 80},{0.9 - i / 200}\n" for i in range(40))

Changes = dict[str, Any]
Case = tuple[Changes, dict[str, str | bytes], int, list[str]]

# Changes to the small spec by key, files beside it, the exit code, and what the line says.
SPECS: dict[str, Case] = {
    "unknown key": (
        {"target": {}},
        {},
        2,
        ["boute.yaml:19: unknown key target; did you mean targets?"],
    ),
    "unknown key inside": (
        {"gpus.l40s.price": 1},
        {},
        2,
        ["boute.yaml:", "unknown key gpus.l40s.price", "price_per_hour"],
    ),
    "wrong unit": (
        {"targets.ttft_p95_ms": 2000},
        {},
        2,
        ["boute.yaml:", "unknown key targets.ttft_p95_ms; did you mean ttft_p95_s?"],
    ),
    "number with a unit": (
        {"targets.ttft_p95_s": "2s"},
        {},
        2,
        ["boute.yaml:", "targets.ttft_p95_s: should be a number", "'2s'"],
    ),
    "negative count": (
        {"gpus.l40s.count": -1},
        {},
        2,
        ["boute.yaml:6: gpus.l40s.count: should be at least 0 (it is -1)"],
    ),
    "no GPU at all": (
        {"gpus": {"l40s": {"count": 0}}},
        {},
        2,
        ["boute.yaml", "gpus", "every count is 0"],
    ),
    "missing key": ({"quality": {}}, {}, 2, ["boute.yaml:", "quality.table is missing"]),
    "unknown GPU": (
        {"gpus": {"h100-smx": {"count": 1}}},
        {},
        2,
        ["boute.yaml", "h100-smx", "did you mean h100-sxm"],
    ),
    "unknown model": (
        {"models": ["llama-3.1-8b", "lama-3.1-70b"]},
        {},
        2,
        ["boute.yaml", "models[1]", "lama-3.1-70b", "did you mean llama-3.1-70b"],
    ),
    "unknown objective": (
        {"objectives": ["quality", "e2e_p95"]},
        {},
        2,
        ["boute.yaml:", "objectives", "did you mean e2e_p95_s?"],
    ),
    "unknown trace": (
        {"workload.trace": "azure-conversations"},
        {},
        2,
        ["azure-conversations", "azure-conversation"],
    ),
    "trace missing": ({"workload.trace": "monday.csv"}, {}, 2, ["monday.csv", "no such file"]),
    "trace empty": ({"workload.trace": "t.csv"}, {"t.csv": ""}, 2, ["t.csv: is empty"]),
    "trace without rows": (
        {"workload.trace": "t.csv"},
        {"t.csv": HEAD},
        2,
        ["t.csv: holds no requests"],
    ),
    "trace unsorted": (
        {"workload.trace": "t.csv"},
        {"t.csv": HEAD + "0,10,10\n2,10,10\n1,10,10\n"},
        2,
        ["t.csv:4: arrival_s is earlier than the line before", "sort the file"],
    ),
    "trace with NaN": (
        {"workload.trace": "t.csv"},
        {"t.csv": HEAD + "0,10,10\n1,nan,10\n"},
        2,
        ["t.csv:3: input_tokens should be a whole number", "missing or NaN"],
    ),
    "trace with negative tokens": (
        {"workload.trace": "t.csv"},
        {"t.csv": HEAD + "0,10,10\n1,10,-3\n"},
        2,
        ["t.csv:3: output_tokens should be at least 1 (it is -3)"],
    ),
    "trace without columns": (
        {"workload.trace": "t.csv"},
        {"t.csv": "when,in,out\n0,1,1\n1,1,1\n"},
        2,
        ["t.csv: has no column for arrival", "workload.columns.arrival"],
    ),
    "trace of another format": (
        {"workload.trace": "t.parquet"},
        {"t.parquet": HEAD + "0,10,10\n"},
        2,
        ["t.parquet: is not a Parquet file"],
    ),
    "trace of no format": (
        {"workload.trace": "t.txt"},
        {"t.txt": HEAD + "0,10,10\n"},
        2,
        ["t.txt: is of no known format", ".csv"],
    ),
    "trace cut short": (
        {"workload.trace": "t.jsonl"},
        {"t.jsonl": '{"time": 0, "input_tokens": 5, "output_tokens": 5}\n{"time": 1, "inp'},
        2,
        ["t.jsonl:2: is not JSON"],
    ),
    "quality above one": (
        {"quality.table": "q.csv"},
        {"q.csv": TABLE + ROWS + "0.5,1.2,0.5\n"},
        2,
        ["q.csv:42", "llama-3.1-8b", "1.2"],
    ),
    "quality below zero": (
        {"quality.table": "q.csv"},
        {"q.csv": TABLE + "0.5,0.5,-0.1\n" + ROWS},
        2,
        ["q.csv:2", "llama-3.1-70b", "-0.1"],
    ),
    "quality without text or score": (
        {"quality.table": "q.csv"},
        {"q.csv": "llama-3.1-8b,llama-3.1-70b\n" + "0.5,0.6\n" * 30},
        2,
        ["q.csv", "score"],
    ),
    "quality without a model": (
        {"quality.table": "q.csv"},
        {"q.csv": "score,llama-3.1-8b\n0.5,0.6\n"},
        2,
        ["q.csv", "llama-3.1-70b"],
    ),
    "quality missing": (
        {"quality.table": "q.csv"},
        {},
        2,
        ["q.csv", "neither a file nor a preset"],
    ),
    "quality preset misspelt": (
        {"quality.table": "llama-3.2"},
        {},
        2,
        ["llama-3.2", "did you mean llama-3.1"],
    ),
    "longest request longer than max_model_len": (
        {"engine": {"max_model_len": 16}},
        {},
        2,
        ["boute.yaml", "engine.max_model_len", "longest request"],
    ),
    "not YAML": ({}, {"boute.yaml": "models: [llama"}, 2, ["boute.yaml:1", "is not valid YAML"]),
    "not a mapping": ({}, {"boute.yaml": "- a\n- b\n"}, 2, ["boute.yaml: should be a mapping"]),
    "spec empty": ({}, {"boute.yaml": ""}, 2, ["boute.yaml: is empty"]),
    "spec binary": (
        {},
        {"boute.yaml": b"\x7fELF\x00\x01"},
        2,
        ["boute.yaml:1", "is not valid YAML"],
    ),
    "spec not UTF-8": ({}, {"boute.yaml": "größe: 1".encode("latin-1")}, 2, ["is not UTF-8"]),
    "models that fit no GPU": (
        {"models": ["llama-3.1-405b"], "gpus": {"a10g": {"count": 8}}},
        {},
        3,
        ["boute.yaml: models:", "memory binds: llama-3.1-405b", "on a10g it needs", "GiB"],
    ),
    "one model of two that fits no GPU": (
        {"models": ["llama-3.1-8b", "llama-3.1-405b"], "gpus": {"a10g": {"count": 8}}},
        {},
        3,
        ["boute.yaml: models:", "memory binds: llama-3.1-405b", "leave the model out"],
    ),
    "budget below the cheapest GPU": (
        {"targets.budget_per_hour": 0.1},
        {},
        3,
        ["boute.yaml: targets.budget_per_hour:", "the plan costs $", "the budget is $0.10"],
    ),
    "rate out of reach": (
        {"workload.rate_scale": 200, "workload.max_requests": 3000},
        {},
        3,
        ["boute.yaml: gpus:", "inventory binds: llama-3.1-70b gets", "the GPUs left carry"],
    ),
}

# These are found by searching, so that a study is left; it is whole and can be gone on with.
SEARCHED: dict[str, Case] = {
    "quality floor out of reach": (
        {"targets": {"quality_min": 0.99}},
        {},
        3,
        ["boute.yaml: targets.quality_min:", "0.99 is asked, the best reached is 0.8"],
    ),
    "TTFT out of reach": (
        {"targets": {"ttft_p95_s": 1e-4}},
        {},
        3,
        ["boute.yaml: targets.ttft_p95_s:", "0.0001 is asked, the best reached is 0."],
    ),
}


@pytest.fixture
def place(
    folder: Path, small_spec: Callable[..., dict[str, Any]]
) -> Callable[[Changes, dict[str, str | bytes]], None]:
    """Makes the working folder: the small spec with changes, and files."""

    def make(changes: Changes, files: dict[str, str | bytes]) -> None:
        spec = small_spec()
        for key, value in changes.items():
            part = spec
            *path, last = key.split(".") if key not in spec else [key]
            for name in path:
                part = part[name]
            part[last] = value
        content = {"boute.yaml": yaml.safe_dump(spec, sort_keys=False), **files}
        for name, data in content.items():
            (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())

    return make


@pytest.mark.parametrize("name", SPECS)
def test_wrong_spec(name: str, place: Any, check_refused: Any) -> None:
    changes, files, code, says = SPECS[name]
    place(changes, files)
    check_refused(code, says, "optimize", "boute.yaml", "--evaluations", 8, "--sampler", "sobol")


@pytest.mark.parametrize("name", SEARCHED)
def test_nothing_feasible(name: str, place: Any, check_refused: Any) -> None:
    changes, files, code, says = SEARCHED[name]
    place(changes, files)
    arguments = ("optimize", "boute.yaml", "--evaluations", 8, "--sampler", "sobol")
    check_refused(code, says, *arguments, leaves={"out", "out/study.db"})


def test_what_is_wrong_is_the_same_for_check(place: Any, check_refused: Any) -> None:
    for name in ("wrong unit", "trace unsorted", "models that fit no GPU"):
        changes, files, code, says = SPECS[name]
        place(changes, files)
        check_refused(code, says, "check", "boute.yaml")
