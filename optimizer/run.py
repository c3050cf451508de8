"""One study from a spec file to plans on disk: what `boute optimize` does, callable from Python."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boute.context import Context, located, prepare
from boute.errors import OutputError, SpecError
from boute.evaluate import latency_curves
from boute.files import make_folder
from boute.optimizer.begin import begin, check_current, with_current
from boute.optimizer.certify import Certificate, certify
from boute.optimizer.clock import Clock
from boute.optimizer.earlier import load_earlier, taken_up
from boute.optimizer.exact import MOST_PLANS
from boute.optimizer.front import Origin, drawn_again, front_trials, make_plans, nothing_feasible
from boute.optimizer.problem import Problem
from boute.optimizer.sampler import check_sampler, make_sampler
from boute.optimizer.search import Limits, Search, Step
from boute.optimizer.start import Start
from boute.optimizer.study import Study
from boute.optimizer.study_header import header_of
from boute.optimizer.trial import Trial
from boute.optimizer.workers import Evaluator, Workers, make_workers
from boute.plan.decision import decision_of
from boute.plan.model import Plan
from boute.plan.store import save_plan
from boute.report.study_view import QUANTILES, Progress, StudyView, TrialView
from boute.routing.apgr import router_report
from boute.routing.chosen import chosen_router, remember_judged
from boute.spec.load import load_spec
from boute.spec.model import Spec

__all__ = ["Request", "Result", "Settings", "load_settings", "optimize", "search_problem"]

MOST_CURVES: Final = 12
"""Plans of a thinned trace that get latency curves, the most balanced: each takes a second."""


@dataclass(frozen=True)
class Request:
    """What to run. What is None is taken from the spec.

    `workers` are processes, or the address of a Ray cluster (`boute.optimizer.ray_workers`).
    `started_s` is when the command began, by `time.monotonic`, where that was before the call: a
    time limit counts from there.
    """

    spec_file: Path
    out: Path
    study_file: Path | None = None
    sampler: str | None = None
    evaluations: int | None = None
    time_limit_s: float | None = None
    seed: int | None = None
    workers: int | str = 1
    robust: bool | None = None
    intervals: bool = True
    start_from: Path | None = None
    started_s: float | None = None


@dataclass(frozen=True)
class Settings:
    """What will be run: a request with what it leaves open taken from its spec."""

    spec: Spec
    sampler: str
    seed: int
    evaluations: int
    time_limit_s: float | None

    @property
    def objectives(self) -> list[str]:
        """The metrics that are traded off."""
        return self.spec.objectives


@dataclass(frozen=True, eq=False)
class Result:
    """What came of it: the plans, best first, the view that reports are made from, how near.

    `drawing_s` of the `seconds` went into the intervals. `start` is what the study was started
    from, if anything.
    """

    plans: tuple[Plan, ...]
    view: StudyView
    certificate: Certificate
    seconds: float
    drawing_s: float
    start: Start | None = None


def load_settings(request: Request) -> Settings:
    """Read the spec of a request; raise InputError for a wrong spec or an unknown sampler."""
    spec = load_spec(request.spec_file)
    if request.robust is not None:
        search = spec.search.model_copy(update={"robust": request.robust})
        spec = spec.model_copy(update={"search": search})
    search = spec.search
    sampler = check_sampler(request.sampler or search.sampler)
    return Settings(
        spec=spec,
        sampler=sampler,
        seed=search.seed if request.seed is None else request.seed,
        evaluations=request.evaluations or _enough(sampler, search.evaluations),
        time_limit_s=request.time_limit_s or search.time_limit_s,
    )


def _enough(sampler: str, evaluations: int) -> int:
    """Evaluations when none are asked for: an exact search goes to its end."""
    return MOST_PLANS if sampler == "exact" else evaluations


def optimize(request: Request, on_step: Callable[[Step], None] = lambda step: None) -> Result:
    """Search, and write plans, tables, picture and report into `request.out`.

    Raises InputError for wrong input, OutputError when something cannot be written, and
    InfeasibleError when no plan meets what was asked; the study is kept in each case.
    """
    started = time.monotonic() if request.started_s is None else request.started_s
    settings = load_settings(request)
    where = str(request.spec_file)
    problem, start, router = _begun(request, settings.spec)
    context = problem.context
    make_folder(request.out)
    # A thinned trace states the error of thinning instead.
    intervals = request.intervals and context.workload.thinning is None
    clock = Clock.of(started, time.monotonic(), settings.time_limit_s, intervals=intervals)
    with (
        Study(_study_file(request), header_of(context, where, start)) as study,
        make_workers(context, request.workers) as workers,
    ):
        search = search_problem(
            problem,
            study,
            settings.sampler,
            settings.seed,
            Limits(settings.evaluations, clock.search_end_s),
            workers,
            on_step,
        )
        found = time.monotonic()
        front = front_trials(search.trials)
        if intervals:
            front = drawn_again(front, workers, clock.drawing_end_s)
        drawing_s = time.monotonic() - found if intervals else 0.0
    if not front:
        with located(where):
            raise nothing_feasible(search)
    plans = _write_plans(front, problem, request, settings, router)
    view = _view(search, front, plans, request, context)
    _write_report(view, request.out)
    certificate = certify(search, clock.certifying_s())
    return Result(tuple(plans), view, certificate, time.monotonic() - started, drawing_s, start)


def _begun(request: Request, spec: Spec) -> tuple[Problem, Start | None, Path | None]:
    """The problem, what its search starts from, or started from if the study goes on, and where
    the router of what it starts from should lie.
    """
    where, folder = str(request.spec_file), request.spec_file.parent
    earlier = None if request.start_from is None else load_earlier(request.start_from)
    going_on = taken_up(request.study_file, earlier)
    known = going_on.start if going_on else earlier
    with located(where):
        spec = with_current(spec, known.current if known else None)
        check_current(spec, folder, request.out / "plans")
    router = earlier.router if earlier else None
    context = prepare(spec, folder, where=where, earlier_router=router)
    with located(where):
        _check_robust(context)
        problem = Problem(context)
    start = going_on.start if going_on else begin(problem, earlier)
    return problem, start, router


def _check_robust(context: Context) -> None:
    if context.spec.search.robust and context.workload.thinning is not None:
        raise SpecError(
            "a thinned trace cannot be drawn again",
            where="search.robust",
            mend="give workload.duration_s, so that less of the trace is used, or search plainly",
        )


def search_problem(
    problem: Problem,
    study: Study,
    sampler: str,
    seed: int,
    limits: Limits,
    workers: Evaluator | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Search:
    """Search within limits, in this process unless there are workers."""
    search = Search(
        problem=problem,
        study=study,
        sampler=make_sampler(sampler, problem, seed, study.header.start),
        workers=workers or Workers(problem.context, 1),
        name=sampler,
        seed=seed,
        on_step=on_step,
    )
    search.run(limits)
    return search


def _study_file(request: Request) -> Path:
    """The study asked for; else a new one beside the results, which --study can take up again."""
    if request.study_file is not None:
        return request.study_file
    path = request.out / "study.db"
    try:
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            (request.out / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot be replaced: {error.strerror}", where=str(path), mend="choose another --out"
        ) from error
    return path


def _write_plans(
    front: list[Trial],
    problem: Problem,
    request: Request,
    settings: Settings,
    earlier_router: Path | None,
) -> list[Plan]:
    folder = make_folder(request.out / "plans")
    router_folder = request.out / "router"
    context = problem.context
    choice = context.spec.quality.router
    router = chosen_router(context.table, choice, context.folder, earlier_router)
    origin = Origin(
        spec_file=request.spec_file,
        sampler=settings.sampler,
        seed=settings.seed,
        router_folder=router_folder,
        router_hash=router.save(router_folder),
    )
    seed = context.spec.workload.seed
    remember_judged(router_folder, context.table, context.evidence, choice, context.folder, seed)
    plans = make_plans(front, problem, origin, folder)
    for plan in plans:
        save_plan(plan, folder / f"{plan.name}.yaml")
    written = {f"{plan.name}.yaml" for plan in plans}
    for old in folder.glob("plan-*.yaml"):
        if old.name not in written:
            old.unlink(missing_ok=True)
    return plans


def _view(
    search: Search, front: list[Trial], plans: list[Plan], request: Request, context: Context
) -> StudyView:
    names = {
        trial.decision.key: plan.name
        for trial, plan in zip(front, plans, strict=True)
        if trial.decision is not None
    }
    scale = search.problem.scale
    return StudyView(
        title=_title(request.spec_file),
        spec=context.spec,
        spec_file=request.spec_file.name,
        objectives=search.problem.objectives,
        plans=tuple(plans),
        trials=tuple(_trial_view(trial, names, search) for trial in search.trials),
        progress=tuple(Progress(step.evaluations, step.hypervolume) for step in search.steps),
        sampler=search.name,
        seed=search.seed,
        evaluations=len(search.trials),
        infeasible_reasons=dict(sorted(search.rejections.items())),
        latency_curves={
            plan.name: latency_curves(decision_of(plan), context, QUANTILES)
            for plan in (plans if context.workload.thinning is None else plans[:MOST_CURVES])
        },
        router={
            f"APGR, {pair.weak} against {pair.strong}": pair.apgr
            for pair in router_report(context.table, context.score, range(len(context.family)))
        },
        reference_point={
            name: float(value) for name, value in zip(scale.objectives, scale.worst, strict=True)
        },
    )


def _title(spec_file: Path) -> str:
    """What a study is called: the folder of a boute.yaml, else the name of the file."""
    return spec_file.resolve().parent.name if spec_file.stem == "boute" else spec_file.stem


def _trial_view(trial: Trial, names: dict[str, str], search: Search) -> TrialView:
    assert trial.decision is not None
    assert trial.outcome is not None
    plan = names.get(trial.decision.key, "")
    missed = search.problem.missed(trial.outcome)
    return TrialView(
        objectives={
            name: search.problem.value(trial.outcome, name) for name in search.problem.objectives
        },
        feasible=trial.feasible,
        verdict=trial.outcome.verdict,
        reason=f"misses {', '.join(sorted(missed))}" if missed else None,
        on_front=bool(plan),
        plan=plan,
    )


def _write_report(view: StudyView, out: Path) -> None:
    from boute.report.html import write_report
    from boute.report.png import write_front_png
    from boute.report.tables import write_front_csv, write_front_json

    write_front_csv(view, out / "front.csv")
    write_front_json(view, out / "front.json")
    write_front_png(view, out / "front.png")
    write_report(view, out / "report.html")
