"""`boute optimize --from`: killed and gone on with, refused, and plans that do not oscillate."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from boute.context import Context
from boute.errors import BouteError, SpecError
from boute.optimizer.begin import begin
from boute.optimizer.earlier import load_earlier
from boute.optimizer.front import Origin, front_trials, make_plans
from boute.optimizer.problem import Problem
from boute.optimizer.run import Request, Result, optimize, search_problem
from boute.optimizer.search import Limits, Step
from boute.optimizer.study import Study
from boute.optimizer.study_header import header_of
from boute.plan.migration import fleet_of, moved_gpus, running_pools
from boute.plan.model import Plan
from boute.plan.store import load_plan, save_plan
from boute.spec.model import Spec

WORKLOAD = {"trace": "azure-conversation", "duration_s": 120}


class KilledError(Exception):
    """As if the process had been."""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, spec_of: Callable[..., Spec]) -> Path:
    """A folder with a spec and what a search of it left."""
    folder = tmp_path_factory.mktemp("old")
    run(write(folder, spec_of()), folder / "out")
    return folder


def write(folder: Path, spec: Spec) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "boute.yaml"
    path.write_text(json.dumps(spec.model_dump(mode="json", exclude_unset=True)))
    return path


def run(spec_file: Path, out: Path, **options: Any) -> Result:
    settings = {"sampler": "sobol", "evaluations": 24, "seed": 3} | options
    return optimize(Request(spec_file, out, **settings))


def killed_after(count: int) -> Callable[[Step], None]:
    def on_step(step: Step) -> None:
        if step.evaluations == count:
            raise KilledError

    return on_step


def files_of(out: Path) -> dict[str, bytes]:
    names = ["front.csv", "front.json", *(f"plans/{p.name}" for p in sorted(out.glob("plans/*")))]
    return {name: (out / name).read_bytes() for name in names}


@pytest.mark.parametrize(
    ("origin", "kill_after"), [("out/study.db", 3), ("out/plans/plan-01.yaml", 21)]
)
def test_killed_and_gone_on_with_it_leaves_the_same_bytes(
    old: Path, tmp_path: Path, spec_of: Callable[..., Spec], origin: str, kill_after: int
) -> None:
    """What it was started from is in the study, so it is not given again."""
    spec_file = write(tmp_path, spec_of(workload=WORKLOAD | {"rate_scale": 1.2}))
    request = Request(spec_file, tmp_path / "a", tmp_path / "a.db", "sobol", 24, seed=3)
    with pytest.raises(KilledError):
        optimize(replace(request, start_from=old / origin), killed_after(kill_after))
    gone_on = optimize(request)
    whole = run(spec_file, tmp_path / "b", start_from=old / origin)
    assert gone_on.view.evaluations == whole.view.evaluations == 24
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert gone_on.start is not None
    assert gone_on.start.source == str(old / origin)


def test_it_may_be_started_from_the_study_that_it_replaces(tmp_path: Path, old: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(old / "out", out)
    again = run(old / "boute.yaml", out, start_from=out / "study.db")
    assert again.start is not None
    assert again.start.plans == again.start.whole == 24


def test_what_is_no_origin_leaves_nothing_behind(old: Path, tmp_path: Path) -> None:
    for origin in (old / "boute.yaml", tmp_path / "none.db"):
        with pytest.raises(BouteError):
            run(old / "boute.yaml", tmp_path / "out", start_from=origin)
    assert not list(tmp_path.iterdir())


def test_plans_carry_what_they_move_from(old: Path, tmp_path: Path) -> None:
    """Their own file says it: the plan that ran may be gone by then."""
    origin = old / "out" / "plans" / "plan-01.yaml"
    result = run(old / "boute.yaml", tmp_path / "out", start_from=origin)
    running = load_plan(origin)
    for plan in result.plans:
        assert plan.predicted.moved_gpus == moved_gpus(fleet_of(running), fleet_of(plan))
        assert isinstance(plan.spec.current, list)
        written = load_plan(tmp_path / "out" / "plans" / f"{plan.name}.yaml")
        assert written.spec.current == plan.spec.current
    assert 0 in [plan.predicted.moved_gpus for plan in result.plans]


def test_the_plan_that_runs_is_not_written_over(
    tmp_path: Path, spec_of: Callable[..., Spec]
) -> None:
    spec_file = write(tmp_path, spec_of(current="out/plans/plan-01.yaml"))
    with pytest.raises(SpecError, match=r"plan-01.yaml will be replaced") as info:
        run(spec_file, tmp_path / "out")
    assert str(spec_file) in info.value.where


def test_with_a_limit_on_moves_plans_do_not_oscillate(
    tmp_path: Path, context_of: Callable[..., Context]
) -> None:
    """Two GPU types take turns at being the cheaper: without a limit the whole fleet follows."""

    def cheapest(prices: tuple[float, float], runs: Plan | None, **limit: int) -> Plan:
        """The cheapest plan at some prices, planned again from what runs."""
        gpus = {
            gpu: {"count": 8, "price_per_hour": price}
            for gpu, price in zip(("h100-sxm", "a100-80gb"), prices, strict=True)
        }
        problem = Problem(
            context_of(
                gpus=gpus,
                targets={"quality_min": 0.75, "e2e_p95_s": 40} | limit,
                objectives=["quality", "cost_per_hour"],
                current=None if runs is None else running_pools(runs),
            )
        )
        earlier = None
        if runs is not None:
            save_plan(runs, tmp_path / "runs.yaml")
            earlier = load_earlier(tmp_path / "runs.yaml")
        header = header_of(problem.context, "boute.yaml", begin(problem, earlier))
        with Study(None, header) as study:
            search = search_problem(problem, study, "sobol", 3, Limits(40))
        origin = Origin(Path("boute.yaml"), "sobol", 3, tmp_path / "router.npz", "0" * 64)
        plans = make_plans(front_trials(search.trials), problem, origin, tmp_path)
        assert all((plan.predicted.moved_gpus or 0) <= limit.get("moved_gpus_max", 99)
                   for plan in plans)  # fmt: skip
        return min(plans, key=lambda plan: plan.predicted.cost_per_hour)

    a, b = (2.0, 4.0), (4.0, 1.5)
    here = cheapest(a, None)
    assert moved_gpus(fleet_of(here), fleet_of(cheapest(b, here))) > 2
    for prices in (b, a, b):
        there = cheapest(prices, here, moved_gpus_max=1)
        assert moved_gpus(fleet_of(here), fleet_of(there)) <= 1
        here = there
