"""Options, plans, studies and places that are no good: one line, and nothing left behind."""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

SEARCH = ("--evaluations", 8, "--sampler", "sobol")

# Arguments, with {plan} for a good plan and {spec} for a good spec, and what the line says.
ARGUMENTS: dict[str, tuple[str, list[str]]] = {
    "no verb": ("optimise", ["no such command 'optimise'", "optimize"]),
    "unknown option": ("optimize {spec} --evaluation 8", ["no such option: --evaluation"]),
    "no spec": ("optimize", ["missing argument 'SPEC'; see boute optimize --help"]),
    "spec missing": ("optimize nowhere.yaml", ["nowhere.yaml: cannot be read: no such file"]),
    "spec is a folder": ("check .", [".: cannot be read: is a directory"]),
    "sampler": (
        "optimize {spec} --sampler tpe",
        ["--sampler: ", "tpe", "mobo, mobo-gp, exact, nsga2, sobol"],
    ),
    "workers": ("optimize {spec} --workers 0", ["'--workers'"]),
    "workers nowhere": ("optimize {spec} --workers rey", ["'rey' should be from 1 to 256, ray"]),
    "evaluations": ("optimize {spec} --evaluations 0", ["'--evaluations'"]),
    "time limit": ("optimize {spec} --time-limit -1", ["'--time-limit'"]),
    "time limit of nan": ("optimize {spec} --time-limit nan", ["--time-limit"]),
    "seed": ("optimize {spec} --seed x", ["'--seed'"]),
    "seed too large": ("optimize {spec} --seed 9223372036854775808", ["--seed"]),
    "rate without unit": ("whatif {spec} --rate 2", ["--rate: '2' is not a rate", "2x or 12/s"]),
    "rate of zero": ("whatif {spec} --rate 0x", ["--rate: '0x' is not a rate"]),
    "rate of nan": ("whatif {spec} --rate nanx", ["--rate: 'nanx' is not a rate"]),
    "price without type": (
        "whatif {spec} --price 1.5",
        ["--price: '1.5' is not a price", "TYPE=X"],
    ),
    "price of no number": ("whatif {spec} --price l40s=cheap", ["--price: 'l40s=cheap' is not"]),
    "price of another GPU": (
        "whatif {spec} --price l40=1",
        ["--price: l40 is not among", "mean l40s?"],
    ),
    "without another GPU": ("whatif {plan} --without a100", ["--without: a100 is not", "l40s"]),
    "without all": ("whatif {spec} --without l40s --without h100-sxm", ["--without: no GPU"]),
    "rate scale": ("simulate {plan} --rate-scale 0", ["'--rate-scale'"]),
    "rate scale of nan": ("simulate {plan} --rate-scale nan", ["--rate-scale"]),
    "trace missing": ("simulate {plan} --trace t.csv", ["t.csv: there is no such file"]),
    "estimate without a model": (
        "estimate --gpu l40s",
        ["--model is missing; give it, or --csv with many cases"],
    ),
    "estimate of an unknown GPU": (
        "estimate --model llama-3.1-8b --gpu l40 --input-tokens 9 --output-tokens 9 "
        "--concurrency 1",
        ["l40", "did you mean l40s"],
    ),
    "estimate that does not fit": (
        "estimate --model llama-3.1-70b --gpu l4 --input-tokens 9 --output-tokens 9 "
        "--concurrency 1",
        ["llama-3.1-70b", "l4", "GiB"],
    ),
    "init over a file": ("init boute.yaml", ["boute.yaml"]),
    "plan missing": ("plan show nowhere.yaml", ["nowhere.yaml: cannot be read: no such file"]),
    "plan that is a spec": ("simulate {spec}", ["boute.yaml"]),
    "GPU card missing": ("gpus show l40", ["l40", "did you mean l40s"]),
    "model card missing": ("models show llama-8b", ["llama-8b", "did you mean"]),
}


@pytest.fixture
def spec(folder: Path, small_spec: Callable[..., dict[str, Any]]) -> Path:
    path = folder / "boute.yaml"
    path.write_text(yaml.safe_dump(small_spec(), sort_keys=False))
    return path


@pytest.mark.parametrize("name", ARGUMENTS)
def test_wrong_arguments(name: str, spec: Path, plan_file: Path, check_refused: Any) -> None:
    line, says = ARGUMENTS[name]
    words = line.format(spec=spec.name, plan=plan_file).split()
    code = 3 if name == "estimate that does not fit" else 2
    check_refused(code, says, *words)


PLANS: dict[str, tuple[Callable[[str], str], list[str]]] = {
    "truncated": (lambda text: text[: len(text) // 2], ["bad.yaml"]),
    "last line cut off": (lambda text: text[:-40], ["bad.yaml", "source.spec_hash"]),
    "of another version": (
        lambda text: text.replace("schema_version: 1", "schema_version: 2"),
        ["bad.yaml:1: schema_version"],
    ),
    "without a pool": (
        lambda text: text.replace("replicas: ", "replica: "),
        ["bad.yaml:", "replica"],
    ),
    "weights that do not sum to one": (
        lambda text: text.replace("weight: ", "weight: 0.5 #"),
        ["bad.yaml", "should sum to 1"],
    ),
}


@pytest.mark.parametrize("verb", ["simulate", "plan show", "whatif"])
@pytest.mark.parametrize("name", PLANS)
def test_wrong_plan(
    name: str, verb: str, folder: Path, plan_file: Path, check_refused: Any
) -> None:
    spoil, says = PLANS[name]
    (folder / "bad.yaml").write_text(spoil(plan_file.read_text()))
    check_refused(2, says, *verb.split(), "bad.yaml")


def test_a_study_of_another_spec(spec: Path, optimized: Any, check_refused: Any) -> None:
    shutil.copy(optimized[0] / "out" / "study.db", "study.db")
    spec.write_text(spec.read_text().replace("budget_per_hour: 40", "budget_per_hour: 41"))
    says = ["study.db: belongs to another spec or other data"]
    # SQLite may rewrite a page of its own; the trials in it are as they were.
    check_refused(2, says, "optimize", spec.name, "--study", "study.db", *SEARCH, leaves={"out"})


def test_a_study_that_is_garbage(spec: Path, check_refused: Any) -> None:
    Path("study.db").write_bytes(b"no database " * 500)
    says = ["study.db: is not a study that can be read"]
    check_refused(2, says, "optimize", spec.name, "--study", "study.db", *SEARCH, leaves={"out"})


def test_a_study_that_is_another_database(spec: Path, check_refused: Any) -> None:
    with sqlite3.connect("study.db") as database:
        database.execute("CREATE TABLE trials (x)")
    database.close()
    says = ["study.db: is an SQLite database, but not a study"]
    check_refused(2, says, "optimize", spec.name, "--study", "study.db", *SEARCH, leaves={"out"})


def test_out_is_a_file(spec: Path, check_refused: Any) -> None:
    Path("out").write_text("mine")
    check_refused(2, ["out: cannot be written: file exists"], "optimize", spec.name, *SEARCH)


def test_out_is_below_a_file(spec: Path, check_refused: Any) -> None:
    Path("file").write_text("mine")
    says = ["file/out: cannot be written: not a directory"]
    check_refused(2, says, "optimize", spec.name, "--out", "file/out", *SEARCH)


def test_out_is_where_nothing_can_be_written(spec: Path, check_refused: Any) -> None:
    says = ["/proc/boute: cannot be written"]
    check_refused(2, says, "optimize", spec.name, "--out", "/proc/boute", *SEARCH)


def test_init_keeps_what_is_there(spec: Path, check_refused: Any) -> None:
    says = ["boute.yaml: is there already; use --force to overwrite it"]
    check_refused(2, says, "init", ".")


def test_a_chrome_trace_that_cannot_be_written(plan_file: Path, check_refused: Any) -> None:
    says = ["/proc/trace.json: cannot be written"]
    check_refused(2, says, "simulate", plan_file, "--chrome-trace", "/proc/trace.json")


@pytest.mark.parametrize("kib", [8, 48, 400])
def test_a_full_disk(kib: int, spec: Path, environment: dict[str, str]) -> None:
    """Files may grow to so many KiB: too little for the study, the plans, and the report."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * kib, 1024 * kib))

    command = [sys.executable, "-m", "boute", "optimize", spec.name, *map(str, SEARCH)]
    done = subprocess.run(
        command,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
    *progress, line = done.stderr.splitlines()
    assert len(progress) <= 1
    assert line.startswith("boute: out/")
    assert "cannot be written" in line
    assert done.returncode == 2
    for path in Path("out").rglob("*"):
        assert not path.name.startswith("."), "a temporary file is left"
        if path.suffix == ".yaml":
            yaml.safe_load(path.read_text())
        if path.suffix == ".json":
            json.loads(path.read_text())
