"""`boute optimize` from file to files, and what is left of it after kill -9."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import boute
from boute.errors import InfeasibleError, InputError, OutputError, StudyError
from boute.optimizer.front import drawn_again, front_trials
from boute.optimizer.problem import Problem
from boute.optimizer.run import Request, load_settings, optimize
from boute.optimizer.search import Step
from boute.optimizer.study import Study
from boute.optimizer.trial import Trial
from boute.optimizer.workers import Workers
from boute.plan.store import load_plan
from boute.spec.model import Spec

TrialsOf = Callable[..., list[Trial]]


@pytest.fixture
def spec_file(tmp_path: Path, spec_of: Callable[..., Spec]) -> Path:
    return write_spec(tmp_path, spec_of())


@pytest.fixture
def slow_spec_file(tmp_path: Path, spec_of: Callable[..., Spec]) -> Path:
    """Half an hour of four times the requests: an evaluation takes long enough to be killed in."""
    workload = {"trace": "azure-conversation", "duration_s": 1800, "rate_scale": 4}
    gpus = {"l40s": {"count": 24}, "h100-sxm": {"count": 24}}
    targets = {"quality_min": 0.6}
    return write_spec(tmp_path, spec_of(workload=workload, gpus=gpus, targets=targets))


def write_spec(folder: Path, spec: Spec) -> Path:
    path = folder / "boute.yaml"
    path.write_text(json.dumps(spec.model_dump(mode="json", exclude_unset=True)))
    return path


def front_of(out: Path) -> bytes:
    return (out / "front.csv").read_bytes()


def files_of(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def test_it_leaves_plans_tables_picture_and_report(spec_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps: list[Step] = []
    result = optimize(
        Request(spec_file, out, sampler="sobol", evaluations=10, seed=3), steps.append
    )
    assert len(steps) == result.view.evaluations == 10
    assert {
        "front.csv",
        "front.json",
        "front.png",
        "report.html",
        "router/router.json",
    } <= files_of(out)
    names = sorted(path.stem for path in (out / "plans").glob("*.yaml"))
    assert names == sorted(plan.name for plan in result.plans)
    assert len(front_of(out).splitlines()) == len(result.plans) + 1


def test_plans_of_an_earlier_front_do_not_stay(spec_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = optimize(Request(spec_file, out, sampler="sobol", evaluations=24, seed=3))
    second = optimize(Request(spec_file, out, sampler="sobol", evaluations=2, seed=3))
    assert len(second.plans) < len(first.plans)
    assert len(list((out / "plans").glob("*.yaml"))) == len(second.plans)


@pytest.mark.parametrize("sampler", ["sobol", "nsga2"])
def test_the_number_of_workers_changes_no_byte(
    spec_file: Path, tmp_path: Path, sampler: str
) -> None:
    fronts = []
    for workers in (1, 2):
        out = tmp_path / f"out-{workers}"
        optimize(Request(spec_file, out, sampler=sampler, evaluations=12, seed=5, workers=workers))
        fronts.append((front_of(out), (out / "front.json").read_bytes()))
    assert fronts[0] == fronts[1]


def start(spec: Path, study: Path, out: Path, options: list[str]) -> subprocess.Popen[bytes]:
    root = str(Path(boute.__file__).parents[1])
    command = [sys.executable, "-m", "boute", "optimize", str(spec), "--study", str(study)]
    return subprocess.Popen(
        [*command, "--out", str(out), *options],
        env=os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def trials_in(study: Path) -> int:
    if not study.exists():
        return 0
    db = sqlite3.connect(study)
    try:
        return int(db.execute("SELECT count(*) FROM trials").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are not there yet
        return 0
    finally:
        db.close()


@pytest.mark.parametrize(
    ("sampler", "evaluations", "kill_after"),
    [("sobol", 24, 3), ("sobol", 24, 13), ("mobo", 28, 17)],
    ids=["sobol-first-batch", "sobol-second-batch", "mobo-after-its-first-plans"],
)
def test_a_killed_run_goes_on_to_the_same_front(
    slow_spec_file: Path, tmp_path: Path, sampler: str, evaluations: int, kill_after: int
) -> None:
    """`kill -9` in the middle; run again, the front has the bytes of a run that was left alone."""
    study, out = tmp_path / "study.db", tmp_path / "killed"
    options = ["--sampler", sampler, "--evaluations", str(evaluations), "--seed", "3"]
    options += ["--no-intervals"]
    process = start(slow_spec_file, study, out, options)
    while trials_in(study) < kill_after and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert kill_after <= trials_in(study) < evaluations
    assert not (out / "front.csv").exists()

    request = Request(
        slow_spec_file,
        out,
        study_file=study,
        sampler=sampler,
        evaluations=evaluations,
        seed=3,
        intervals=False,
    )
    optimize(request)
    whole = tmp_path / "whole"
    optimize(replace(request, out=whole, study_file=None))
    assert trials_in(study) == evaluations
    assert front_of(out) == front_of(whole)


# Starting Python takes longer or shorter; both wait, ready, until they are told to go.
READY_AND_GO = """
import sys
from pathlib import Path
from boute.optimizer.run import Request, optimize

spec, study, out, seed = sys.argv[1:]
request = Request(
    Path(spec),
    Path(out),
    study_file=Path(study),
    sampler="sobol",
    evaluations=32,
    seed=int(seed),
    intervals=False,
)
print("ready", flush=True)
sys.stdin.readline()
optimize(request)
"""


def test_two_processes_on_one_study_lose_and_repeat_nothing(
    slow_spec_file: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study.db"
    root = str(Path(boute.__file__).parents[1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", READY_AND_GO, slow_spec_file, study, tmp_path / str(seed), seed],
            env=os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
    with Study(study, None) as found:
        batches = found.batches()
        keys = [decision.key for _, decision, _ in found.trials()]
    assert {batch.seed for batch in batches} == {1, 2}
    assert len(keys) == len(set(keys)) >= 32


def test_a_study_goes_on_with_more_evaluations(spec_file: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.db"
    for evaluations in (8, 16):
        optimize(
            Request(
                spec_file,
                tmp_path / "out",
                study_file=study,
                sampler="sobol",
                evaluations=evaluations,
            )
        )
        assert trials_in(study) == evaluations


def test_a_study_of_another_spec_is_refused_and_nothing_is_written(
    spec_file: Path, tmp_path: Path, spec_of: Callable[..., Spec]
) -> None:
    study, out = tmp_path / "study.db", tmp_path / "out"
    request = Request(spec_file, out, study_file=study, sampler="sobol", evaluations=4)
    optimize(request)
    before = {path: (out / path).read_bytes() for path in files_of(out)}
    write_spec(tmp_path, spec_of(gpus={"l40s": {"count": 4}}))
    with pytest.raises(StudyError, match="belongs to another spec"):
        optimize(request)
    assert {path: (out / path).read_bytes() for path in files_of(out)} == before


def test_nothing_feasible_leaves_the_study_and_no_front(
    tmp_path: Path, spec_of: Callable[..., Spec]
) -> None:
    spec = write_spec(tmp_path, spec_of(targets={"quality_min": 0.99}))
    out = tmp_path / "out"
    with pytest.raises(InfeasibleError, match="quality_min"):
        optimize(Request(spec, out, sampler="sobol", evaluations=4))
    assert trials_in(out / "study.db") == 4
    assert not {"front.csv", "front.json", "report.html"} & files_of(out)


def test_nothing_feasible_exits_with_3_and_one_line(
    tmp_path: Path, spec_of: Callable[..., Spec]
) -> None:
    spec = write_spec(tmp_path, spec_of(targets={"budget_per_hour": 0.5}))
    root = str(Path(boute.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "boute", "optimize", str(spec), "--out", str(tmp_path / "out")],
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "budget binds" in done.stderr
    assert "$0.99" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_place_that_cannot_be_written_is_an_output_error(spec_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file" / "out", Path("/proc/out")):
        with pytest.raises(OutputError):
            optimize(Request(spec_file, out, sampler="sobol", evaluations=2))
    with pytest.raises(OutputError):
        optimize(
            Request(spec_file, tmp_path / "out", study_file=Path("/proc/study.db"), evaluations=2)
        )


def test_the_command_line_overrides_the_spec(tmp_path: Path, spec_of: Callable[..., Spec]) -> None:
    search = {"sampler": "nsga2", "evaluations": 7, "seed": 9, "time_limit_s": 4.0}
    spec = write_spec(tmp_path, spec_of(search=search))
    settings = load_settings(Request(spec, tmp_path))
    assert (settings.sampler, settings.evaluations) == ("nsga2", 7)
    assert (settings.seed, settings.time_limit_s) == (9, 4.0)
    settings = load_settings(
        Request(spec, tmp_path, sampler="sobol", evaluations=3, time_limit_s=1.0, seed=0)
    )
    assert (settings.sampler, settings.evaluations) == ("sobol", 3)
    assert (settings.seed, settings.time_limit_s) == (0, 1.0)
    with pytest.raises(InputError, match="unknown sampler"):
        load_settings(Request(spec, tmp_path, sampler="grid"))


def test_every_plan_of_the_front_carries_intervals(spec_file: Path, tmp_path: Path) -> None:
    result = optimize(Request(spec_file, tmp_path / "out", sampler="sobol", evaluations=8))
    for plan in result.plans:
        found = load_plan(tmp_path / "out" / "plans" / f"{plan.name}.yaml").predicted.robustness
        assert found is not None
        assert {*plan.objectives, "ttft_p95_s", "tpot_p95_s"} <= set(found.intervals)
        assert found.load_margin is not None
        # A plain search judges by what is predicted.
        assert plan.objectives == {name: plan.predicted.value(name) for name in plan.objectives}
    assert 0.0 < result.drawing_s < result.seconds


def test_intervals_end_with_the_time_limit(problem: Problem, tried: TrialsOf) -> None:
    front = front_trials(tried(problem, 12))
    assert len(front) > 1
    with Workers(problem.context, 1) as workers:
        found = drawn_again(front, workers, until_s=time.monotonic())
    outcomes = [trial.outcome for trial in found if trial.outcome is not None]
    assert [outcome.robustness is not None for outcome in outcomes] == [True] + [False] * (
        len(front) - 1
    )
    assert [trial.decision for trial in found] == [trial.decision for trial in front]


def test_a_time_limit_counts_from_when_the_command_began(spec_file: Path, tmp_path: Path) -> None:
    """The search gets its least share of it then, and ends far from all that was asked for."""
    ago_s = 1000.0
    request = Request(spec_file, tmp_path, sampler="sobol", evaluations=100_000, time_limit_s=8.0)
    result = optimize(replace(request, started_s=time.monotonic() - ago_s))
    assert 1 <= result.view.evaluations < 100_000
    assert result.seconds > ago_s


def test_a_robust_search_judges_by_the_worse_ends_and_goes_on_where_it_stopped(
    spec_file: Path, tmp_path: Path
) -> None:
    """With one worker or two, in one go or in two: the same bytes."""
    study = tmp_path / "study.db"
    whole = Request(spec_file, tmp_path / "whole", sampler="sobol", evaluations=32, robust=True)
    optimize(whole)
    parts = replace(whole, out=tmp_path / "parts", study_file=study, workers=2)
    optimize(replace(parts, evaluations=24))
    result = optimize(parts)
    assert front_of(whole.out) == front_of(parts.out)
    assert (whole.out / "front.json").read_bytes() == (parts.out / "front.json").read_bytes()
    for plan in result.plans:
        ends = {name: plan.predicted.pessimistic(name) for name in plan.objectives}
        assert plan.objectives == ends
        assert plan.predicted.robustness is not None
        assert plan.predicted.robustness.unstable == 0.0
        assert plan.spec.search.robust
        limits = plan.spec.targets.latency_limits()
        assert all(plan.predicted.pessimistic(name) <= limit for name, limit in limits.items())
        assert plan.predicted.pessimistic("quality") >= (plan.spec.targets.quality_min or 0.0)
    with pytest.raises(StudyError, match="robust search"):
        optimize(replace(parts, robust=False))
