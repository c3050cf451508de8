"""`boute optimize` from outside: what it leaves, what it prints, and how it stops."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ESCAPE = "\x1b"


@pytest.fixture
def spec(folder: Path, small_spec: Callable[..., dict[str, Any]]) -> Path:
    path = folder / "boute.yaml"
    path.write_text(yaml.safe_dump(small_spec(), sort_keys=False))
    return path


def results(out: Path) -> dict[str, bytes]:
    """What has to be the same byte for byte; figures carry the version of their library."""
    names = ["front.csv", "front.json", *sorted(f"plans/{p.name}" for p in out.glob("plans/*"))]
    return {name: (out / name).read_bytes() for name in names}


def trials(study: Path) -> int:
    database = sqlite3.connect(study)
    try:
        (count,) = database.execute("SELECT count(*) FROM trials").fetchone()
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        database.close()
    return int(count)


def test_leaves_a_front_plans_a_picture_and_a_report(optimized: Any) -> None:
    out = optimized[0] / "out"
    assert {path.name for path in out.iterdir()} == {
        *("front.csv", "front.json", "front.png", "plans", "report.html", "router"),
        "study.db",
    }
    front = json.loads((out / "front.json").read_text())
    rows = list(csv.DictReader((out / "front.csv").read_text().splitlines()))
    names = [plan["plan"] for plan in front["plans"]]
    assert names == [row["plan"] for row in rows]
    assert names == sorted(path.stem for path in (out / "plans").glob("*.yaml"))
    assert (out / "front.png").read_bytes().startswith(b"\x89PNG")
    assert trials(out / "study.db") == 8


def test_prints_the_front_plainly_without_a_terminal(optimized: Any) -> None:
    ran = optimized[1]
    assert ran.code == 0
    assert ESCAPE not in ran.out + ran.err
    assert ran.out.startswith("Plan ")
    assert "plan-01" in ran.out
    first, summary, intervals, cost, report, plan = ran.err.splitlines()
    assert re.match(r"\d+\.\d s: first feasible plan, \d/8, \d+ s left; hypervolume 0\.\d+", first)
    assert "plans from 8 evaluations in" in summary
    assert re.match(r"intervals: 90%, over 19 resamples of the workload, in [\d.]+ s", intervals)
    assert re.match(r"cost: the cheapest plan is at most [\d.]+% from the optimum", cost)
    assert report == "report: out/report.html"
    assert plan == "plan:   out/plans/plan-01.yaml"


@pytest.mark.parametrize("sampler", ["mobo", "nsga2", "sobol", "bilevel", "sequential"])
def test_every_sampler_gives_the_same_bytes_for_the_same_seed(
    sampler: str, spec: Path, boute: Any
) -> None:
    found = []
    for out in ("one", "two"):
        ran = boute(
            *("optimize", spec, "--out", out, "--sampler", sampler, "--seed", 3),
            *("--evaluations", 12, "--json"),
        )
        assert ran.code == 0
        assert json.loads(ran.out)["sampler"] == sampler
        found.append(results(Path(out)))
    assert found[0] == found[1]


def test_another_process_and_another_number_of_workers_change_nothing(
    spec: Path, process: Any, boute: Any
) -> None:
    arguments = ("optimize", spec, "--evaluations", 12, "--seed", 5, "--out")
    assert boute(*arguments, "one").code == 0
    assert process(*arguments, "two", "--workers", 2).code == 0
    assert results(Path("one")) == results(Path("two"))


def test_another_seed_searches_elsewhere(spec: Path, boute: Any) -> None:
    for seed in (1, 2):
        ran = boute(
            *("optimize", spec, "--seed", seed, "--out", str(seed), "--evaluations", 24),
            *("--sampler", "nsga2"),
        )
        assert ran.code == 0
    assert results(Path("1")) != results(Path("2"))


def test_json_is_all_that_goes_to_standard_output(spec: Path, boute: Any) -> None:
    ran = boute("optimize", spec, "--evaluations", 8, "--sampler", "sobol", "--json")
    summary = json.loads(ran.out)
    assert summary["evaluations"] == 8
    assert summary["hypervolume"] > 0
    for plan in summary["plans"]:
        written = yaml.safe_load(Path(plan["file"]).read_text())
        assert written["objectives"] == plan["objectives"]
    assert len(ran.err.splitlines()) == 1  # the first feasible plan


def test_a_study_goes_on_to_more_evaluations(spec: Path, boute: Any) -> None:
    arguments = ("optimize", spec, "--study", "kept.db", "--sampler", "sobol", "--evaluations")
    assert boute(*arguments, 8, "--out", "short").code == 0
    assert trials(Path("kept.db")) == 8
    assert boute(*arguments, 16, "--out", "long").code == 0
    assert trials(Path("kept.db")) == 16
    assert not Path("long/study.db").exists()
    whole = ("optimize", spec, "--out", "whole", "--sampler", "sobol", "--evaluations", 16)
    assert boute(*whole).code == 0
    assert results(Path("long")) == results(Path("whole"))


def test_without_a_study_each_run_is_new_and_old_plans_go(spec: Path, boute: Any) -> None:
    assert boute("optimize", spec, "--evaluations", 24, "--sampler", "sobol").code == 0
    many = len(list(Path("out/plans").glob("*.yaml")))
    assert boute("optimize", spec, "--evaluations", 1).code == 0
    assert trials(Path("out/study.db")) == 1
    assert len(list(Path("out/plans").glob("*.yaml"))) == 1 < many


def test_a_time_limit_ends_the_search(spec: Path, boute: Any) -> None:
    ran = boute(
        *("optimize", spec, "--evaluations", 100_000, "--sampler", "sobol", "--time-limit", 2),
        "--json",
    )
    assert ran.code == 0
    assert 1 <= json.loads(ran.out)["evaluations"] < 100_000


def start(environment: dict[str, str], *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "boute", "optimize", *map(str, arguments)]
    # A shell has what it runs in the background ignore Ctrl-C, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def wait_for_trials(study: Path, child: subprocess.Popen[str], count: int) -> None:
    while not (study.is_file() and trials(study) >= count):
        assert child.poll() is None, child.communicate()
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted_says_how_to_go_on_and_keeps_the_study(
    workers: int, spec: Path, environment: dict[str, str], boute: Any
) -> None:
    arguments = ("--evaluations", 100_000, "--sampler", "sobol", "--workers", workers)
    child = start(environment, spec.name, *arguments)
    wait_for_trials(Path("out/study.db"), child, 16)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does it for Ctrl-C
    out, err = child.communicate()
    assert child.returncode == 130, err
    assert out == ""
    first, last = err.splitlines()
    assert "first feasible plan" in first
    assert last == "boute: interrupted; --study out/study.db goes on where it stopped"
    before = trials(Path("out/study.db"))
    again = ("optimize", spec, "--study", "out/study.db", "--out", "more", "--json")
    ran = boute(*again, "--sampler", "sobol", "--evaluations", before + 8)
    assert ran.code == 0
    assert json.loads(ran.out)["evaluations"] == before + 8


def test_a_killed_search_ends_as_if_it_had_never_been(
    spec: Path, environment: dict[str, str], boute: Any
) -> None:
    arguments = ("--sampler", "nsga2", "--seed", 4, "--study", "killed.db", "--evaluations")
    child = start(environment, spec.name, *arguments, 100_000)
    wait_for_trials(Path("killed.db"), child, 5)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    total = trials(Path("killed.db")) + 10
    assert boute("optimize", spec, *arguments, total, "--out", "resumed").code == 0
    shutil.move("killed.db", "old.db")
    assert boute("optimize", spec, *arguments, total, "--out", "whole").code == 0
    assert results(Path("resumed")) == results(Path("whole"))


def test_a_terminal_shows_hypervolume_best_and_time_left(
    spec: Path, environment: dict[str, str]
) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-m", "boute", "optimize", spec.name, "--evaluations", "12"],
        env={**environment, "TERM": "xterm"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:  # Linux says so that the other side is closed
            break
        if not data:
            break
        shown += data
    os.close(leader)
    assert child.wait() == 0
    text = shown.decode()
    assert ESCAPE in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "preparing" in plain
    assert re.search(r"mobo \d+/12, \d+ s left", plain)
    assert re.search(r"hypervolume 0\.\d+; best Quality 0\.\d+, P95 E2E .* s, \$.* per hour", plain)
    assert "plans from 12 evaluations" in plain


def test_a_search_started_from_another_says_what_was_carried(
    optimized: Any, folder: Path, boute: Callable[..., Any], small_spec: Callable[..., Any]
) -> None:
    spec = small_spec(workload={"trace": "azure-conversation", "duration_s": 60, "rate_scale": 1.2})
    (folder / "boute.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    study = optimized[0] / "out" / "study.db"
    ran = boute("optimize", "boute.yaml", "--from", study, "--evaluations", "6", "--json")
    assert ran.code == 0
    found = json.loads(ran.out)["started_from"]
    assert found["file"] == str(study)
    assert found["plans"] == found["carried"] == 8
    ran = boute("optimize", "boute.yaml", "--study", "out/study.db", "--evaluations", "6")
    assert f"{study}: 8 of 8 plans were carried over" in ran.err
