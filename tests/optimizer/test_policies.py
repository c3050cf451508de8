"""Every policy through the whole planner: decoding, estimates, cheap looks, bounds, samplers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boute.context import Context
from boute.deployments.gateway.bodies import Query, parse_query
from boute.deployments.gateway.chooser import Chooser
from boute.deployments.live import live_config
from boute.evaluate import evaluate, offered_load
from boute.optimizer.draft import draft_of
from boute.optimizer.fidelity.looker import Looker
from boute.optimizer.fidelity.simulated import SimulatedParts
from boute.optimizer.fidelity.steady import SteadyParts
from boute.optimizer.ideal import Ideal
from boute.optimizer.placement.bound import cost_bound
from boute.optimizer.problem import Problem
from boute.optimizer.run import Request, optimize
from boute.optimizer.sampler import SAMPLERS, make_sampler
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.trial import Trial
from boute.plan.decision import Decision, decision_of
from boute.plan.model import Plan
from boute.plan.store import load_plan
from boute.resamples import resampled
from boute.routing.policies.cascade import ladder
from boute.routing.router import Router
from boute.simulated import simulated
from boute.spec.model import Spec
from boute.spec.quality import Policy
from boute.workload.arrays import Workload
from boute.world import context_of as plan_context
from boute.world import whole_workload

MODELS = ["llama-3.2-3b", "llama-3.1-8b", "llama-3.1-70b"]
POLICIES: list[Policy] = ["thresholds", "utility", "cascade"]
OBJECTIVES = ["quality", "e2e_mean_s", "cost_per_hour", "energy_j_per_token"]
OTHERS = ["ttft_p95_s", "tpot_mean_s", "queue_mean_s", "cost_per_million_tokens"]

Tried = Callable[..., list[Trial]]


def write_table(path: Path, models: list[str], rows: int = 150) -> Path:
    """Queries of which some words are hard for small models, which know it somewhat."""
    rng = np.random.default_rng(3)
    words = ["sum", "cat", "integral", "proof", "road", "seven"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        sure = [f"sure_{name}" for name in models]
        lengths = [f"{name}_output_tokens" for name in models]
        writer.writerow(["query", *models, *lengths, *sure])
        for row in range(rows):
            picked = rng.choice(words, 4)
            hard = np.isin(picked, ["integral", "proof"]).mean()
            chance = 1.0 - hard * np.linspace(0.9, 0.2, len(models))
            tokens = rng.integers(40, 400) * np.linspace(1.4, 1.0, len(models))
            confidence = np.clip(chance + 0.1 * rng.normal(size=len(models)), 0.0, 1.0)
            right = (rng.random(len(models)) < chance).astype(int)
            writer.writerow([f"{' '.join(picked)} {row}", *right, *tokens.round(), *confidence])
    return path


def quality_of(path: Path, policy: Policy, models: list[str]) -> dict[str, Any]:
    quality: dict[str, Any] = {"table": str(path), "policy": policy}
    if policy == "cascade":
        quality["confidence"] = {name: f"sure_{name}" for name in models[:-1]}
    return quality


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("table") / "table.csv", MODELS)


@pytest.fixture(scope="module", params=POLICIES)
def policy(request: pytest.FixtureRequest) -> Policy:
    found: Policy = request.param
    return found


@pytest.fixture(scope="module")
def problem(policy: Policy, table: Path, context_of: Callable[..., Context]) -> Problem:
    quality = quality_of(table, policy, MODELS)
    return Problem(context_of(models=MODELS, quality=quality, objectives=OBJECTIVES, targets={}))


@pytest.fixture(scope="module")
def decisions(problem: Problem) -> list[Decision]:
    points = sobol_points(problem.encoding.dimensions, 12, seed=1)
    found = [problem.decode(point) for point in points]
    kept = [decision for decision in found if isinstance(decision, Decision)]
    assert len(kept) >= 6
    return kept


def test_routings_are_of_the_policy_and_hold_the_shares(
    policy: Policy, problem: Problem, decisions: list[Decision]
) -> None:
    workload, context = problem.context.workload, problem.context
    for decision in decisions:
        routing = decision.routing
        assert routing.policy == policy
        answers = context.policy.answers(routing.setting)[workload.row]
        counts = np.bincount(answers, minlength=len(MODELS))
        assert routing.fractions == (counts / len(workload)).tolist()
        asked = context.policy.asked(routing.setting)[workload.row].mean(axis=0)
        assert routing.asked == pytest.approx(asked.tolist())
        served = {pool.model for pool in decision.pools}
        assert served == {name for name, load in zip(MODELS, routing.asked, strict=True) if load}
    if policy == "cascade":
        assert any(sum(decision.routing.asked) > 1.2 for decision in decisions)


@pytest.mark.parametrize("objectives", [OBJECTIVES, OTHERS])
def test_simulated_parts_say_what_a_whole_evaluation_says(
    objectives: list[str], problem: Problem, decisions: list[Decision]
) -> None:
    spec = problem.context.spec.model_copy(update={"objectives": objectives})
    problem = Problem(replace(problem.context, spec=spec))
    looker = Looker(problem, SimulatedParts(problem, longest=10**6))
    assert looker.is_exact
    context = problem.context
    for decision in decisions[:5]:
        draft = draft_of(decision, problem)
        metrics, unstable = looker.metrics(draft)
        outcome = evaluate(decision, context.workload, context)
        assert (unstable > 0.0) == (outcome.verdict == "unstable")
        for name in objectives:
            assert metrics[name] == pytest.approx(outcome.value(name), rel=1e-9), name


def test_steady_parts_say_what_the_estimate_says(
    problem: Problem, decisions: list[Decision]
) -> None:
    names = ("ttft", "tpot", "e2e", "queue")
    looker = Looker(problem, SteadyParts(problem.context, problem.table, names))
    for decision in decisions[:5]:
        metrics, _ = looker.metrics(draft_of(decision, problem))
        estimate = problem.estimator.estimate(decision)
        for name in OBJECTIVES:
            assert metrics[name] == pytest.approx(estimate.metrics[name]), name


def test_the_estimate_is_near_what_is_simulated(
    problem: Problem, decisions: list[Decision]
) -> None:
    context, ratios = problem.context, []
    for decision in decisions:
        outcome = evaluate(decision, context.workload, context)
        estimate = problem.estimator.estimate(decision)
        assert estimate.metrics["quality"] == outcome.quality
        assert estimate.metrics["cost_per_hour"] == pytest.approx(outcome.cost_per_hour)
        if outcome.verdict == "stable":
            ratios.append(estimate.metrics["e2e_p95_s"] / outcome.e2e.p95)
    assert len(ratios) >= 3
    assert 0.7 < np.median(ratios) < 1.4


def test_no_evaluation_is_better_than_the_ideal(
    problem: Problem, decisions: list[Decision]
) -> None:
    context, ideal = problem.context, Ideal(problem)
    for decision in decisions:
        outcome = evaluate(decision, context.workload, context)
        trial = problem.evaluated((0.5,) * problem.encoding.dimensions, decision, outcome)
        assert trial.values is not None
        assert (ideal.values(decision) <= trial.values + 1e-9).all()
        assert offered_load(decision, context.workload, context) == outcome.utilisation


def test_resamples_keep_the_evidence_of_their_rows(
    problem: Problem, decisions: list[Decision]
) -> None:
    decision, world = decisions[0], resampled(problem.context, 3)
    found = simulated(decision, world.workload, world)
    rows = problem.context.policy.answers(decision.routing.setting)
    assert world.drawn is not None
    expected = problem.context.quality[world.drawn, rows[world.drawn]].mean()
    assert found.value("quality") == pytest.approx(expected)
    output = world.workload.output_tokens[np.arange(len(world.workload)), rows[world.workload.row]]
    assert np.array_equal(found.output, output)


def test_a_bound_is_known_of_thresholds_only(policy: Policy, problem: Problem) -> None:
    assert (cost_bound(problem) is None) == (policy != "thresholds")


@pytest.fixture(scope="module")
def tiny(policy: Policy, table: Path, context_of: Callable[..., Context]) -> Problem:
    """Two models and few GPUs, so that every plan can be listed."""
    quality = quality_of(table, policy, MODELS[1:])
    gpus = {"l40s": {"count": 3}, "h100-sxm": {"count": 4}}
    return Problem(context_of(models=MODELS[1:], quality=quality, gpus=gpus))


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_every_sampler_searches_with_every_policy(
    name: str, policy: Policy, tiny: Problem, tried: Tried
) -> None:
    if name.startswith("optuna"):
        pytest.importorskip("optuna")
    sampler = make_sampler(name, tiny, 5)
    seen: list[Trial] = []
    for count in (6, 3):
        trials = tried(tiny, points=list(sampler.ask(count)))
        sampler.tell(trials)
        seen += trials
    routings = [trial.decision.routing for trial in seen if trial.decision is not None]
    assert routings
    assert {routing.policy for routing in routings} == {policy}


def test_plans_are_written_and_route_in_the_ingress_as_planned(
    policy: Policy, table: Path, spec_of: Callable[..., Spec], tmp_path: Path
) -> None:
    """From a spec to a plan file to what the ingress does with the table's own queries."""
    spec = spec_of(models=MODELS, quality=quality_of(table, policy, MODELS), targets={})
    file = tmp_path / "boute.yaml"
    file.write_text(json.dumps(spec.model_dump(mode="json", exclude_unset=True)))
    optimize(Request(file, tmp_path / "out", evaluations=8, seed=2, intervals=False))
    paths = sorted((tmp_path / "out" / "plans").glob("*.yaml"))
    plan, path = next(
        (plan, path) for path in paths if max((plan := load_plan(path)).routing.fractions) < 1.0
    )
    assert plan.routing.policy == policy
    config = live_config(plan, path.parent, None)
    folder = Path(config.router_folder or "")
    router = Router.load(folder, expected_hash=plan.routing.router_hash)
    chooser = Chooser(config, router)
    with table.open() as lines:
        texts = [row["query"] for row in csv.DictReader(lines)]
    first = [chooser.choose(query_of(text), {}, None) for text in texts]
    shares = np.array([[choice.model == name for name in MODELS] for choice in first]).mean(axis=0)
    if policy == "cascade":
        rungs = ladder(plan.routing.thresholds)
        climbed = {(c.model, c.least, *(rung.model for rung in c.above)) for c in first}
        least = plan.routing.thresholds[rungs[0]] if len(rungs) > 1 else 0.0
        assert climbed == {(MODELS[rungs[0]], least, *(MODELS[rung] for rung in rungs[1:]))}
    else:
        # The router of the ingress has seen the rows that it was planned on without.
        assert np.abs(shares - plan.routing.fractions).max() < 0.25
    best = [chooser.choose(query_of(text, "boute-1"), {}, None) for text in texts]
    cheap = [chooser.choose(query_of(text, "boute-0"), {}, None) for text in texts]
    order = MODELS.index
    assert all(order(a.model) <= order(b.model) for a, b in zip(cheap, best, strict=True))
    again = evaluate(decision_of(plan), *_world(plan, path))
    assert again == plan.predicted


def query_of(text: str, model: str = "boute") -> Query:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return parse_query("/v1/chat/completions", json.dumps(body).encode(), 10_000)


def _world(plan: Plan, path: Path) -> tuple[Workload, Context]:
    context = plan_context(plan, path)
    return context.workload, context


@pytest.fixture(scope="module")
def thinned(policy: Policy, table: Path, context_of: Callable[..., Context]) -> Problem:
    generator = {
        "arrivals": "diurnal",
        "rate_per_s": 3,
        "duration_s": 7200,
        "period_s": 7200,
        "amplitude": 0.5,
        "input_tokens": {"median": 300, "sigma": 0.8, "maximum": 2000},
        "output_tokens": {"median": 80, "sigma": 0.6, "maximum": 400},
    }
    workload = {"generator": generator, "thin_to": 5000}
    quality = quality_of(table, policy, MODELS)
    return Problem(context_of(models=MODELS, quality=quality, workload=workload, targets={}))


def test_a_thinned_trace_says_what_the_whole_says(policy: Policy, thinned: Problem) -> None:
    context = thinned.context
    points = sobol_points(thinned.encoding.dimensions, 6, seed=4)
    decision = next(
        found
        for found in map(thinned.decode, points)
        if isinstance(found, Decision) and max(found.routing.fractions) < 0.7
    )
    part = evaluate(decision, context.workload, context)
    whole = evaluate(decision, whole_workload(context, decision), context)
    error = 2.0 * part.thinning_error["e2e_p95_s"]
    assert part.value("e2e_p95_s") == pytest.approx(whole.value("e2e_p95_s"), abs=error)
    assert part.energy_j_per_token == pytest.approx(whole.energy_j_per_token, rel=0.05)
    assert part.quality == whole.quality
    asked = sum(decision.routing.asked)
    assert (asked > 1.0) == (policy == "cascade")
    for outcome in (part, whole):
        ran = sum(pool.requests for pool in outcome.pools) / outcome.requests
        assert ran == pytest.approx(asked, rel=0.03)


def test_what_is_paid_is_of_all_that_ran_and_tokens_of_what_was_given(
    problem: Problem, decisions: list[Decision]
) -> None:
    context = problem.context
    workload = context.workload
    for decision in decisions[:4]:
        found = simulated(decision, workload, context)
        outcome = evaluate(decision, workload, context)
        answers = context.policy.answers(decision.routing.setting)[workload.row]
        given = workload.output_tokens[np.arange(len(workload)), answers].sum()
        assert found.tokens == given
        spent = sum(pool.energy_j for pool in outcome.pools)
        assert outcome.energy_j_per_token == pytest.approx(spent / given)
        for pool, run in zip(outcome.pools, found.run.runs, strict=True):
            assert pool.requests == len(run)
