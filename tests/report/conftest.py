"""A study as the report sees it: 20 trials, 8 plans, three objectives, made without a search."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from boute.metrics import is_maximised
from boute.outcome import Latency, Outcome, PoolOutcome, Ready
from boute.plan.model import Alternative, Plan, PlannedModel, Pool, Routing, Source
from boute.report.study_view import QUANTILES, Progress, StudyView, TrialView
from boute.spec.family import ModelChoice
from boute.spec.model import GpuSupply, Search, Spec
from boute.spec.quality import Quality
from boute.spec.targets import Targets
from boute.spec.workload import Generator, LengthDistribution, WorkloadSource

OBJECTIVES = ("quality", "e2e_p95_s", "cost_per_hour")
MODELS = ("llama-3.2-3b", "llama-3.1-8b", "llama-3.1-70b")
SCORES = (0.52, 0.63, 0.81)
PRICES = {"l4": 0.71, "a10g": 1.01, "l40s": 1.55, "h100-sxm": 2.99}

# Fractions by model, then pools as (model, gpu, tp, replicas, weight), then P95 E2E in seconds.
FLEETS: tuple[
    tuple[tuple[float, ...], tuple[tuple[int, str, int, int, float], ...], float], ...
] = (
    (
        (0.20, 0.45, 0.35),
        ((0, "l4", 1, 1, 1.0), (1, "l40s", 1, 2, 1.0), (2, "h100-sxm", 2, 2, 1.0)),
        6.1,
    ),
    ((0.00, 0.30, 0.70), ((1, "l40s", 1, 2, 1.0), (2, "h100-sxm", 2, 3, 1.0)), 7.4),
    ((0.00, 0.12, 0.88), ((1, "l40s", 1, 1, 1.0), (2, "h100-sxm", 4, 2, 1.0)), 5.2),
    (
        (0.35, 0.45, 0.20),
        (
            (0, "l4", 1, 3, 1.0),
            (1, "a10g", 1, 3, 0.6),
            (1, "l40s", 1, 1, 0.4),
            (2, "h100-sxm", 2, 1, 1.0),
        ),
        7.9,
    ),
    (
        (0.60, 0.30, 0.10),
        ((0, "l4", 1, 4, 1.0), (1, "l40s", 1, 1, 1.0), (2, "l40s", 4, 1, 1.0)),
        9.8,
    ),
    ((0.55, 0.45, 0.00), ((0, "a10g", 1, 2, 1.0), (1, "l40s", 1, 1, 1.0)), 4.4),
    ((0.90, 0.10, 0.00), ((0, "l4", 1, 2, 1.0), (1, "a10g", 1, 1, 1.0)), 8.3),
    ((1.00, 0.00, 0.00), ((0, "l40s", 1, 2, 1.0),), 2.6),
)


@pytest.fixture
def make_view() -> Callable[..., StudyView]:
    return study_view


@pytest.fixture
def view() -> StudyView:
    return study_view()


def study_view(
    title: str = "Chat assistant, quickstart",
    spec_file: str = "examples/quickstart/boute.yaml",
    objectives: tuple[str, ...] = OBJECTIVES,
) -> StudyView:
    spec = _spec(objectives)
    plans = [_plan(spec, rank, *fleet) for rank, fleet in enumerate(FLEETS, start=1)]
    alternatives = [Alternative(plan=plan.name, objectives=plan.objectives) for plan in plans]
    plans = [
        plan.model_copy(update={"alternatives": [a for a in alternatives if a.plan != plan.name]})
        for plan in plans
    ]
    return StudyView(
        title=title,
        spec=spec,
        spec_file=spec_file,
        objectives=objectives,
        plans=tuple(plans),
        trials=_trials(plans, objectives),
        progress=tuple(
            Progress(n, 0.62 * (1 - math.exp(-max(0, n - 2) / 6)), 0.4 * n) for n in range(1, 21)
        ),
        sampler="mobo",
        seed=7,
        evaluations=20,
        infeasible_reasons={
            "llama-3.1-70b fits no GPU group that is left": 2,
            "pool llama-3.1-8b on l4 does not drain its queue": 3,
        },
        latency_curves={plan.name: _curves(plan) for plan in plans},
        router={"apgr": 0.71, "cpt_50": 0.24, "cpt_80": 0.55},
        reference_point=dict.fromkeys(objectives, 0.0),
    )


def _spec(objectives: tuple[str, ...]) -> Spec:
    generator = Generator(
        rate_per_s=4.0,
        input_tokens=LengthDistribution(median=900, sigma=0.9),
        output_tokens=LengthDistribution(median=210, sigma=0.7),
    )
    return Spec(
        models=[ModelChoice(name=name) for name in MODELS],
        gpus={
            "l4": GpuSupply(count=8),
            "a10g": GpuSupply(count=8),
            "l40s": GpuSupply(count=8, price_per_hour=1.55),
            "h100-sxm": GpuSupply(count=8, price_per_hour=2.99),
        },
        workload=WorkloadSource(generator=generator),
        quality=Quality(table="chat-quality"),
        targets=Targets(ttft_p95_s=1.0, e2e_p95_s=10.0, quality_min=0.5, budget_per_hour=30.0),
        objectives=list(objectives),
        search=Search(evaluations=20, seed=7),
    )


def _plan(
    spec: Spec,
    rank: int,
    fractions: tuple[float, ...],
    fleet: tuple[tuple[int, str, int, int, float], ...],
    e2e_p95_s: float,
) -> Plan:
    pools = [
        Pool(
            name=f"{MODELS[model]}-{gpu}-tp{tp}",
            model=MODELS[model],
            gpu=gpu,
            tensor_parallel=tp,
            replicas=replicas,
            weight=weight,
        )
        for model, gpu, tp, replicas, weight in fleet
    ]
    outcome = _outcome(fractions, pools, e2e_p95_s)
    return Plan(
        name=f"plan-{rank:02d}",
        source=Source(
            spec="../boute.yaml", spec_hash="0" * 64, boute_version="0.1.0", sampler="mobo", seed=7
        ),
        routing=Routing(
            models=list(MODELS),
            fractions=list(fractions),
            thresholds=[fractions[0], fractions[0] + fractions[1]],
            router="router.json",
            router_hash="1" * 64,
        ),
        models=[PlannedModel(name=m, card=m, weights="bf16", kv_cache="bf16") for m in MODELS],
        max_model_len=8192,
        pools=pools,
        objectives={name: outcome.value(name) for name in spec.objectives},
        predicted=outcome,
        spec=spec,
    )


def _outcome(fractions: tuple[float, ...], pools: list[Pool], e2e_p95_s: float) -> Outcome:
    quality = sum(f * s for f, s in zip(fractions, SCORES, strict=True))
    cost = sum(PRICES[pool.gpu] * pool.gpus for pool in pools)
    utilisation = [0.38 + 0.09 * index for index in range(len(pools))]
    return Outcome(
        requests=2400,
        failed=0,
        duration_s=600.0,
        quality=quality,
        quality_low=quality - 0.021,
        quality_high=quality + 0.019,
        ttft=_latency(e2e_p95_s / 12),
        tpot=_latency(e2e_p95_s / 260),
        e2e=_latency(e2e_p95_s),
        queue=_latency(e2e_p95_s / 80),
        goodput_per_s=3.9,
        slo_attainment=0.981,
        utilisation=max(utilisation),
        preemptions=3,
        cost_per_hour=cost,
        cost_per_million_tokens=cost / 3.1,
        energy_j_per_token=0.11 + cost / 60,
        latency_error=0.15,
        verdict="strained" if e2e_p95_s > 9 else "stable",
        pools=[
            PoolOutcome(
                pool=pool.name,
                model=pool.model,
                gpu=pool.gpu,
                requests=800,
                utilisation=load,
                kv_peak=min(1.0, load + 0.11),
                preemptions=index,
                ttft=_latency(e2e_p95_s / 12),
                tpot=_latency(e2e_p95_s / 260),
                e2e=_latency(e2e_p95_s),
                energy_j=91_000.0,
                verdict="stable",
                ready=Ready(warm_s=26.2, cold_s=57.1, error=0.45),
            )
            for index, (pool, load) in enumerate(zip(pools, utilisation, strict=True))
        ],
    )


def _latency(p95: float) -> Latency:
    return Latency(mean=p95 * 0.48, p50=p95 * 0.4, p90=p95 * 0.83, p95=p95, p99=p95 * 1.5)


def _curves(plan: Plan) -> dict[str, tuple[float, ...]]:
    curves = {}
    for name in ("ttft", "tpot", "e2e"):
        p95 = plan.predicted.value(f"{name}_p95_s")
        curves[name] = tuple(p95 * (0.1 + 0.9 * (q / 0.95) ** 2.2 + 0.9 * q**40) for q in QUANTILES)
    return curves


def _trials(plans: list[Plan], objectives: tuple[str, ...]) -> tuple[TrialView, ...]:
    on_front = [
        TrialView(plan.objectives, True, plan.predicted.verdict, None, True, plan.name)
        for plan in plans
    ]
    dominated = [
        TrialView(_worse(plans[n % 8], objectives, 0.08 + 0.03 * n), True, "stable")
        for n in range(5)
    ]
    unstable = [
        TrialView(
            _worse(plans[n + 2], objectives, 0.4 + 0.2 * n),
            False,
            "unstable",
            "pool llama-3.1-8b on l4 does not drain its queue",
        )
        for n in range(3)
    ]
    failed = [
        TrialView(None, False, None, "llama-3.1-70b fits no GPU group that is left")
        for _ in range(2)
    ]
    missed = [
        TrialView(
            _worse(plans[n], objectives, 0.2), False, "stable", "ttft_p95_s is 1.4 s, not 1 s"
        )
        for n in range(2)
    ]
    return (*on_front, *dominated, *unstable, *missed, *failed)


def _worse(plan: Plan, objectives: tuple[str, ...], by: float) -> dict[str, float]:
    values = {name: plan.predicted.value(name) for name in objectives}
    return {
        name: value * (1 - by / 2 if is_maximised(name) else 1 + by)
        for name, value in values.items()
    }
