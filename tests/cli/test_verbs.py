"""The verbs beside `optimize` and `plan`, as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import boute as package

CASE = ("--model", "llama-3.1-8b", "--gpu", "l40s", "--input-tokens", 512, "--output-tokens", 64)


@pytest.fixture
def spec(folder: Path, small_spec: Callable[..., dict[str, Any]]) -> Path:
    path = folder / "boute.yaml"
    path.write_text(yaml.safe_dump(small_spec(), sort_keys=False))
    return path


def json_of(ran: Any) -> Any:
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def in_process(environment: dict[str, str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )


def test_version_and_help(boute: Any) -> None:
    assert boute("--version").out == f"boute {package.__version__}\n"
    assert boute().out == boute("--help").out
    for verb in ("init", "check", "optimize", "simulate", "estimate", "whatif", "plan", "gpus"):
        assert f"\n  {verb} " in boute("--help").out
        ran = boute(verb, "--help")
        assert ran.code == 0
        assert ran.out.startswith(f"Usage: boute {verb} ")


def test_plan_without_a_verb_shows_its_verbs(boute: Any) -> None:
    ran = boute("plan")
    assert ran.code == 2
    assert "explain" in ran.out + ran.err


def test_help_imports_nothing_heavy(environment: dict[str, str]) -> None:
    code = (
        "import sys\nfrom boute.cli.main import main\nmain(['--help'])\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = in_process(environment, code)
    heavy = "numpy scipy pandas sklearn numba torch botorch pydantic yaml matplotlib plotly ray"
    assert "'boute'" in done.stderr
    for name in heavy.split():
        assert f"'{name}'" not in done.stderr


def test_planning_never_imports_ray_or_vllm(spec: Path, environment: dict[str, str]) -> None:
    code = (
        "import sys\nfrom boute.cli.main import main\n"
        "code = main(['optimize', 'boute.yaml', '--evaluations', '20', '--json'])\n"
        "print(sorted(sys.modules), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = in_process(environment, code)
    assert "'boute.optimizer.mobo'" in done.stderr
    for name in ("ray", "vllm"):
        assert f"'{name}'" not in done.stderr


def test_debug_shows_the_traceback(process: Any) -> None:
    ran = process("--debug", "check", "nowhere.yaml")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert "SpecError: nowhere.yaml: cannot be read" in ran.err


def test_init_then_check_then_optimize(folder: Path, boute: Any) -> None:
    ran = boute("init", "fleet")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "wrote fleet/boute.yaml; next: boute optimize fleet/boute.yaml\n"
    schema = json.loads(Path("fleet/boute.schema.json").read_text())
    assert set(yaml.safe_load(Path("fleet/boute.yaml").read_text())) <= set(schema["properties"])
    ran = boute("check", "fleet/boute.yaml")
    assert (ran.code, ran.err) == (0, "")
    ran = boute("optimize", "fleet/boute.yaml", "--evaluations", 9)
    assert ran.code == 0
    assert Path("out/plans/plan-01.yaml").is_file()
    assert boute("init", "fleet").code == 2
    assert boute("init", "fleet", "--force").code == 0


def test_check_prints_the_spec_with_every_default(spec: Path, boute: Any) -> None:
    ran = boute("check", spec)
    full, workload, table = ran.out.split("\n\n")
    assert yaml.safe_load(full)["engine"]["max_num_seqs"] == 256
    assert workload.endswith("tokens")
    assert "l40s" in table
    Path("full.yaml").write_text(full)
    assert boute("check", "full.yaml").out == ran.out


def test_check_says_why_a_model_does_not_fit(
    folder: Path, small_spec: Callable[..., dict[str, Any]], boute: Any
) -> None:
    spec = small_spec(gpus={"a10g": {"count": 1}, "h100-sxm": {"count": 8}})
    Path("boute.yaml").write_text(yaml.safe_dump(spec))
    lines = boute("check", "boute.yaml").out.splitlines()
    (line,) = (line for line in lines if "llama-3.1-70b" in line and "a10g" in line)
    assert "GiB" in line


def test_check_as_json(spec: Path, boute: Any) -> None:
    data = json_of(boute("check", spec, "--json"))
    assert data["spec"]["search"]["evaluations"] == 64
    assert data["workload"]["requests"] > 100
    assert 0 < data["workload"]["quality"]["llama-3.1-8b"] < 1
    models = {(option["model"], option["gpu"]) for option in data["options"]}
    assert ("llama-3.1-70b", "h100-sxm") in models


def test_simulate_gives_what_the_plan_predicts(plan_file: Path, boute: Any) -> None:
    plan = yaml.safe_load(plan_file.read_text())
    again = json_of(boute("simulate", plan_file, "--json"))
    predicted = plan["predicted"]
    assert predicted.pop("robustness")["resamples"] == 19  # drawn by a search only
    assert {name: value for name, value in again.items() if value is not None} == predicted
    ran = boute("simulate", plan_file)
    assert ran.out.startswith("plan-01: quality 0.")
    assert "within the targets" in ran.out.splitlines()[-1]
    assert ran.err == ""


def test_simulate_at_another_rate(plan_file: Path, boute: Any) -> None:
    once = json_of(boute("simulate", plan_file, "--json"))
    twice = json_of(boute("simulate", plan_file, "--rate-scale", 2, "--json"))
    assert twice["requests"] > 1.5 * once["requests"]
    assert twice["utilisation"] > once["utilisation"]
    assert twice["cost_per_hour"] == once["cost_per_hour"]


def test_simulate_another_trace(plan_file: Path, folder: Path, boute: Any) -> None:
    rows = "".join(f"{second},100,20\n" for second in range(30))
    Path("quiet.csv").write_text("arrival_s,input_tokens,output_tokens\n" + rows)
    outcome = json_of(boute("simulate", plan_file, "--trace", "quiet.csv", "--json"))
    assert outcome["requests"] == 30
    assert outcome["duration_s"] == 29
    assert outcome["verdict"] == "stable"
    half = ("--trace", "quiet.csv", "--rate-scale", 0.5, "--json")
    assert json_of(boute("simulate", plan_file, *half))["duration_s"] == 58


def test_simulate_writes_a_chrome_trace(plan_file: Path, folder: Path, boute: Any) -> None:
    ran = boute("simulate", plan_file, "--chrome-trace", "run.json", "--json")
    assert ran.err == "wrote run.json\n"
    assert json.loads(ran.out)["requests"] > 0
    assert json.loads(Path("run.json").read_text())["traceEvents"]


@pytest.mark.parametrize("kind", ["plan", "spec"])
def test_whatif(kind: str, plan_file: Path, spec: Path, boute: Any) -> None:
    file = plan_file if kind == "plan" else spec
    change = ("--rate", "2x", "--price", "l40s=1.5", "--evaluations", 9)
    rows = json_of(boute("whatif", file, *change, "--json"))
    labels = {
        "plan": ["plan-01 before", "plan-01 after", "planned anew"],
        "spec": ["best plan before", "best plan after"],
    }
    assert [row["label"] for row in rows] == labels[kind]
    assert set(rows[0]["objectives"]) == {"quality", "e2e_p95_s", "cost_per_hour"}
    text = boute("whatif", file, *change).out
    assert all(label in text for label in labels[kind])


def test_whatif_prices_are_those_given(plan_file: Path, boute: Any) -> None:
    plan = yaml.safe_load(plan_file.read_text())
    used = {pool["gpu"] for pool in plan["pools"]}
    prices = [word for name in used for word in ("--price", f"{name}=2")]
    rows = json_of(boute("whatif", plan_file, *prices, "--evaluations", 2, "--json"))
    before, after, _ = rows
    assert before["objectives"]["cost_per_hour"] == plan["objectives"]["cost_per_hour"]
    assert after["objectives"]["cost_per_hour"] == pytest.approx(2 * sum(after["gpus"].values()))
    assert after["objectives"]["quality"] == before["objectives"]["quality"]


def test_whatif_without_the_gpus_of_the_plan(plan_file: Path, boute: Any) -> None:
    plan = yaml.safe_load(plan_file.read_text())
    lost = plan["pools"][0]["gpu"]
    rows = json_of(boute("whatif", plan_file, "--without", lost, "--evaluations", 9, "--json"))
    assert rows[1]["verdict"] == f"cannot run without {lost}"
    assert lost not in rows[2]["gpus"]


def test_whatif_at_a_rate_in_requests(spec: Path, boute: Any) -> None:
    found = json_of(boute("check", spec, "--json"))["workload"]["rate_per_s"]
    change = ("--rate", f"{found}/s", "--evaluations", 9, "--json")
    before, after = json_of(boute("whatif", spec, *change))
    assert before["objectives"] == after["objectives"]


def test_estimate_one_case(boute: Any) -> None:
    found = json_of(boute("estimate", *CASE, "--concurrency", 8, "--json"))
    assert found["gpu"] == "l40s"
    assert 0 < found["tpot_s"] < found["ttft_s"]
    assert 0 < found["kv_use"] < 1
    text = boute("estimate", *CASE, "--concurrency", 8).out
    assert "TTFT" in text
    assert "tokens/s" in text


def test_estimate_many_cases(folder: Path, boute: Any) -> None:
    Path("cases.csv").write_text("gpu,tp,concurrency\nl40s,1,8\nnope,1,8\nh100-sxm,2,16\n")
    options = ("--csv", "cases.csv", *CASE[:2], *CASE[4:])
    rows = json_of(boute("estimate", *options, "--json"))
    assert [row["gpu"] for row in rows] == ["l40s", "nope", "h100-sxm"]
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert "there is no GPU card 'nope'" in rows[1]["error"]
    printed = list(csv.DictReader(io.StringIO(boute("estimate", *options).out)))
    assert [float(row["tpot_s"] or 0) for row in printed] == [row["tpot_s"] or 0 for row in rows]


@pytest.mark.parametrize("verb", [("gpus",), ("models",), ("gpus", "list", "--json")])
def test_a_reader_that_has_seen_enough_is_no_error(
    verb: tuple[str, ...], environment: dict[str, str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "boute", *verb]
    done = subprocess.run(
        command, env=environment, check=False, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize("arguments", [("gpus", "list", "--json"), ("--version",)])
def test_output_that_cannot_be_written(
    arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "boute", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, env=environment, check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "boute: standard output: no space left on device\n"


@pytest.mark.parametrize("verb", ["gpus", "models"])
def test_tables_are_plain_without_a_terminal(verb: str, process: Any) -> None:
    ran = process(verb)
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert ran.err == ""
