"""The outcome of a fleet, against sums done by hand on what the simulator says of each request."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boute.context import Context, prepare
from boute.errors import InputError, OutputError
from boute.evaluate import (
    build_pool_replica,
    evaluate,
    latency_curves,
    run_fleet,
    write_chrome_trace,
)
from boute.plan.decision import Decision
from boute.plan.model import Pool, Routing
from boute.routing.thresholds import route, thresholds_for
from boute.spec.model import Spec
from boute.workload.arrays import Workload


def pool(model: str, gpu: str, **changes: Any) -> Pool:
    parts = {"tensor_parallel": 1, "replicas": 1, "weight": 1.0, **changes}
    return Pool(name=f"{model}.{gpu}", model=model, gpu=gpu, **parts)


@pytest.fixture(scope="module")
def context(small_spec: Callable[..., dict[str, Any]]) -> Context:
    targets = {"ttft_p95_s": 0.15, "tpot_p95_s": 0.03, "e2e_p95_s": 12.0}
    return prepare(Spec.model_validate(small_spec(targets=targets)), Path())


@pytest.fixture(scope="module")
def fleet(context: Context) -> Decision:
    """7 in 10 queries go to the 8B, of which a quarter on an H100; the rest to the 70B."""
    return fleet_for(context)


def fleet_for(context: Context) -> Decision:
    thresholds = thresholds_for(context.score, [0.7, 0.3])
    share = float(np.mean(context.score <= thresholds[0]))
    return Decision(
        routing=Routing(
            models=list(context.model_names),
            fractions=[share, 1.0 - share],
            thresholds=[float(thresholds[0])],
        ),
        pools=(
            pool("llama-3.1-8b", "l40s", replicas=3, weight=0.75),
            pool("llama-3.1-8b", "h100-sxm", weight=0.25),
            pool("llama-3.1-70b", "h100-sxm", tensor_parallel=4),
        ),
    )


@pytest.fixture(scope="module")
def at_rate(small_spec: Callable[..., dict[str, Any]]) -> Callable[[float], Context]:
    def make(rate_scale: float) -> Context:
        spec = small_spec()
        spec["workload"]["rate_scale"] = rate_scale
        return prepare(Spec.model_validate(spec), Path())

    return make


def served_output(fleet: Decision, workload: Workload) -> np.ndarray:
    """Output tokens [N], request by request."""
    (threshold,) = fleet.routing.thresholds
    return np.array(
        [
            tokens[0] if score <= threshold else tokens[1]
            for score, tokens in zip(workload.score, workload.output_tokens, strict=True)
        ]
    )


def test_cost_is_the_gpus_that_are_held(context: Context, fleet: Decision) -> None:
    outcome = evaluate(fleet, context.workload, context)
    l40s, h100 = (context.supply(name).price_per_hour for name in ("l40s", "h100-sxm"))
    assert outcome.cost_per_hour == pytest.approx(3 * l40s + 5 * h100)


def test_token_cost_and_goodput_are_over_the_whole_run(context: Context, fleet: Decision) -> None:
    workload = context.workload
    outcome = evaluate(fleet, workload, context)
    run = run_fleet(fleet, workload, context)
    # The work goes on past the window: its hours are paid for too.
    ends_s = float((workload.arrival_s + run.e2e_s).max())
    assert ends_s > workload.duration_s == outcome.duration_s
    tokens = served_output(fleet, workload).sum()
    dollars = outcome.cost_per_hour * ends_s / 3600
    assert outcome.cost_per_million_tokens == pytest.approx(dollars / tokens * 1e6)
    met = [
        ttft <= 0.15 and tpot <= 0.03 and e2e <= 12
        for ttft, tpot, e2e in zip(run.ttft_s, run.tpot_s, run.e2e_s, strict=True)
    ]
    assert 0 < sum(met) < len(workload)
    assert outcome.slo_attainment == pytest.approx(sum(met) / len(workload))
    assert outcome.goodput_per_s == pytest.approx(sum(met) / ends_s)
    assert outcome.requests == len(workload)
    assert outcome.failed == 0


def test_energy_is_idle_and_dynamic(context: Context, fleet: Decision) -> None:
    workload = context.workload
    outcome = evaluate(fleet, workload, context)
    run = run_fleet(fleet, workload, context)
    ends_s = float((workload.arrival_s + run.e2e_s).max())
    idle_w = {name: context.supply(name).card.idle_w for name in ("l40s", "h100-sxm")}
    held = [3 * idle_w["l40s"], idle_w["h100-sxm"], 4 * idle_w["h100-sxm"]]
    joules = 0.0
    for watts, pool_run, pool_outcome in zip(held, run.runs, outcome.pools, strict=True):
        assert pool_run.dynamic_j > 0
        assert pool_outcome.energy_j == pytest.approx(watts * ends_s + pool_run.dynamic_j)
        joules += pool_outcome.energy_j
    tokens = served_output(fleet, workload).sum()
    assert outcome.energy_j_per_token == pytest.approx(joules / tokens)


def test_pools_add_up_to_the_fleet(context: Context, fleet: Decision) -> None:
    outcome = evaluate(fleet, context.workload, context)
    assert sum(each.requests for each in outcome.pools) == outcome.requests
    assert sum(each.preemptions for each in outcome.pools) == outcome.preemptions
    assert max(each.utilisation for each in outcome.pools) == outcome.utilisation
    shares = [each.requests / outcome.requests for each in outcome.pools]
    assert shares == pytest.approx([0.7 * 0.75, 0.7 * 0.25, 0.3], abs=0.08)
    for statistic in ("ttft", "e2e"):
        mean = sum(getattr(each, statistic).mean * each.requests for each in outcome.pools)
        whole = getattr(outcome, statistic).mean
        assert whole == pytest.approx(mean / outcome.requests)
    order = ["stable", "strained", "unstable"]
    assert outcome.verdict == max((each.verdict for each in outcome.pools), key=order.index)


def test_latencies_are_those_of_the_requests(context: Context, fleet: Decision) -> None:
    outcome = evaluate(fleet, context.workload, context)
    run = run_fleet(fleet, context.workload, context)
    several = served_output(fleet, context.workload) > 1
    for found, values in (
        (outcome.ttft, run.ttft_s),
        (outcome.tpot, run.tpot_s[several]),
        (outcome.e2e, run.e2e_s),
        (outcome.queue, run.queue_s),
    ):
        assert found.mean == pytest.approx(values.mean())
        ordered = np.sort(values)
        for percent, value in ((50, found.p50), (90, found.p90), (95, found.p95), (99, found.p99)):
            below = int(percent / 100 * (len(ordered) - 1))
            assert ordered[below] <= value <= ordered[below + 1]


def test_quality_is_that_of_the_routed_rows(context: Context, fleet: Decision) -> None:
    outcome = evaluate(fleet, context.workload, context)
    chosen = route(context.score, fleet.routing.thresholds)
    rows = [quality[model] for quality, model in zip(context.quality, chosen, strict=True)]
    assert outcome.quality == pytest.approx(np.mean(rows))
    assert outcome.quality_low < outcome.quality < outcome.quality_high


def test_latency_error_is_the_larger_of_the_gpus_used(context: Context, fleet: Decision) -> None:
    errors = []
    for name in ("l40s", "h100-sxm"):
        alone = Decision(
            routing=Routing(models=list(context.model_names), fractions=[1, 0], thresholds=[1.0]),
            pools=(pool("llama-3.1-8b", name, replicas=4),),
        )
        errors.append(evaluate(alone, context.workload, context).latency_error)
    assert min(errors) > 0
    assert evaluate(fleet, context.workload, context).latency_error == max(errors)


def test_pools_tell_when_a_replica_answers(context: Context, fleet: Decision) -> None:
    """A larger model and several GPUs take longer; the GPU type alone does not count."""
    small, same, large = (pool.ready for pool in evaluate(fleet, context.workload, context).pools)
    assert small is not None
    assert large is not None
    assert small == same
    assert small.warm_s < small.cold_s < large.cold_s
    assert large.warm_s > small.warm_s + 9.0


def test_the_same_input_gives_the_same_bytes(context: Context, fleet: Decision) -> None:
    once = evaluate(fleet, context.workload, context).model_dump_json()
    assert evaluate(fleet, context.workload, context).model_dump_json() == once


def test_more_requests_wait_longer(at_rate: Callable[[float], Context]) -> None:
    outcomes = []
    for rate_scale in (1.0, 4.0, 8.0):
        context = at_rate(rate_scale)
        outcomes.append(evaluate(fleet_for(context), context.workload, context))
    for slow, fast in pairwise(outcomes):
        assert slow.requests < fast.requests
        assert slow.utilisation < fast.utilisation
        assert slow.e2e.mean < fast.e2e.mean
        assert slow.tpot.mean < fast.tpot.mean
        assert slow.energy_j_per_token > fast.energy_j_per_token
        assert slow.cost_per_hour == fast.cost_per_hour


def test_overload_is_unstable(at_rate: Callable[[float], Context]) -> None:
    context = at_rate(40.0)
    outcome = evaluate(fleet_for(context), context.workload, context)
    assert outcome.verdict == "unstable"
    assert outcome.utilisation > 1
    assert {each.verdict for each in outcome.pools} >= {"unstable"}
    calm = at_rate(0.5)
    assert evaluate(fleet_for(calm), calm.workload, calm).verdict == "stable"


def oversized(context: Context, fleet: Decision, count: int) -> Workload:
    """The workload with its first `count` requests of the 70B too long for any cache."""
    workload = context.workload
    inputs = workload.input_tokens.copy()
    inputs[np.flatnonzero(route(workload.score, fleet.routing.thresholds) == 1)[:count]] = 9_000_000
    return replace(workload, input_tokens=inputs)


def test_failed_requests_miss_their_targets(context: Context, fleet: Decision) -> None:
    whole = evaluate(fleet, context.workload, context)
    workload = oversized(context, fleet, 20)
    outcome = evaluate(fleet, workload, context)
    run = run_fleet(fleet, workload, context)
    assert outcome.failed == 20 == run.failed.sum()
    assert outcome.requests == whole.requests
    met = ~run.failed & (run.ttft_s <= 0.15) & (run.tpot_s <= 0.03) & (run.e2e_s <= 12)
    assert outcome.slo_attainment == pytest.approx(met.mean())
    assert outcome.verdict == "unstable"
    assert outcome.e2e.mean == pytest.approx(run.e2e_s[~run.failed].mean())
    # Tokens that were never generated are not counted.
    tokens = served_output(fleet, workload)[~run.failed].sum()
    joules = sum(each.energy_j for each in outcome.pools)
    assert outcome.energy_j_per_token == pytest.approx(joules / tokens)


def test_a_pool_that_serves_nothing_has_an_outcome(context: Context, fleet: Decision) -> None:
    outcome = evaluate(fleet, oversized(context, fleet, 10**6), context)
    assert outcome.pools[2].e2e.p99 == 0
    assert outcome.pools[2].verdict == "unstable"


def test_a_pool_that_no_query_reaches_is_held_idle(context: Context) -> None:
    decision = Decision(
        routing=Routing(models=list(context.model_names), fractions=[1, 0], thresholds=[1.0]),
        pools=(
            pool("llama-3.1-8b", "h100-sxm", replicas=2),
            pool("llama-3.1-70b", "h100-sxm", tensor_parallel=4),
        ),
    )
    outcome = evaluate(decision, context.workload, context)
    idle = outcome.pools[1]
    assert (idle.requests, idle.utilisation, idle.verdict) == (0, 0, "stable")
    assert idle.energy_j > 0
    assert outcome.cost_per_hour == 6 * context.supply("h100-sxm").price_per_hour


def test_a_pool_that_does_not_fit_is_named(context: Context, fleet: Decision) -> None:
    small = replace(fleet, pools=(*fleet.pools[:2], pool("llama-3.1-70b", "l40s")))
    with pytest.raises(InputError, match=r"pools: pool llama-3.1-70b.l40s needs .* GiB"):
        evaluate(small, context.workload, context)
    with pytest.raises(InputError):
        build_pool_replica(small.pools[2], context)


def test_curves_pass_through_the_percentiles(context: Context, fleet: Decision) -> None:
    outcome = evaluate(fleet, context.workload, context)
    curves = latency_curves(fleet, context, [0.0, 0.5, 0.9, 0.95, 0.99, 1.0])
    assert set(curves) == {"ttft", "tpot", "e2e"}
    for name, values in curves.items():
        found = getattr(outcome, name)
        assert list(values) == sorted(values)
        assert values[1:5] == pytest.approx((found.p50, found.p90, found.p95, found.p99))


def test_chrome_trace_has_every_replica_and_request(
    context: Context, fleet: Decision, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    write_chrome_trace(fleet, context, path)
    data = json.loads(path.read_text())
    assert data["otherData"] == {each.name: "complete" for each in fleet.pools}
    events = data["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert sorted(names) == [0, 1, 2, 3, 4]
    assert [names[pid].rsplit(" replica ", 1)[0] for pid in range(5)] == [
        *["llama-3.1-8b.l40s"] * 3,
        "llama-3.1-8b.h100-sxm",
        "llama-3.1-70b.h100-sxm",
    ]
    assert {e["pid"] for e in events if e["ph"] == "X"} == set(names)
    # The spans of requests end when the simulator that the outcome comes from says so.
    ends = sorted(e["ts"] / 1e6 for e in events if e["ph"] == "e" and "request" in e["name"])
    run = run_fleet(fleet, context.workload, context)
    assert ends == pytest.approx(np.sort(context.workload.arrival_s + run.e2e_s).tolist())
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_chrome_trace_that_cannot_be_written_leaves_nothing(
    context: Context, fleet: Decision, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(OutputError, match="taken: cannot be written"):
        write_chrome_trace(fleet, context, taken)
    assert list(tmp_path.rglob("*")) == [taken]
