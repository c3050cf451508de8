from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from boute.context import Context
from boute.evaluate import build_pool_replica
from boute.optimizer.decoder import EMPTIEST, FULLEST, Decoder, Rejection
from boute.optimizer.encoding import Encoding, Genes
from boute.optimizer.options import OptionTable
from boute.optimizer.problem import Problem
from boute.plan.decision import Decision
from boute.plan.model import Pool
from boute.routing.thresholds import realised_fractions, route, thresholds_for
from boute.workload.arrays import Floats

Limited = Callable[[Context, list[int], float | None], Context]


def fits_in_nodes(pools: list[Pool], context: Context) -> bool:
    """Whether every replica of one GPU type finds its place in one node: all ways are tried."""
    supply = context.supply(pools[0].gpu)
    whole, rest = divmod(supply.count, supply.card.node_gpus)
    nodes = (*[supply.card.node_gpus] * whole, *([rest] if rest else []))
    sizes = tuple(
        sorted((p.gpus_per_replica for p in pools for _ in range(p.replicas)), reverse=True)
    )

    @cache
    def place(sizes: tuple[int, ...], free: tuple[int, ...]) -> bool:
        if not sizes:
            return True
        return any(
            place(sizes[1:], tuple(sorted((*free[:i], room - sizes[0], *free[i + 1 :]))))
            for i, room in enumerate(free)
            if room >= sizes[0] and room not in free[:i]
        )

    return place(sizes, tuple(sorted(nodes)))


def check_feasible(decision: Decision, context: Context, table: OptionTable) -> None:
    workload = context.workload
    assert list(decision.routing.models) == list(context.model_names)
    model_of = route(workload.score, decision.routing.thresholds)
    counts = np.bincount(model_of, minlength=len(context.family))
    assert decision.routing.fractions == pytest.approx(counts / len(workload), abs=1e-12)
    for gpu, count in decision.gpu_counts().items():
        assert count <= context.supply(gpu).count
        assert fits_in_nodes([pool for pool in decision.pools if pool.gpu == gpu], context)
    budget = context.spec.targets.budget_per_hour
    cost = sum(p.gpus * context.supply(p.gpu).price_per_hour for p in decision.pools)
    assert budget is None or cost <= budget * (1.0 + 1e-6)
    for name, fraction in zip(context.model_names, decision.routing.fractions, strict=True):
        pools = [pool for pool in decision.pools if pool.model == name]
        assert bool(pools) == (fraction > 0.0)
        if pools:
            assert sum(pool.weight for pool in pools) == pytest.approx(1.0)
            load = fraction * workload.rate_per_s
            for pool in pools:
                build_pool_replica(pool, context)  # raises when it does not fit
                carries = pool.replicas * table.option(pool).goodput_per_s
                assert load * pool.weight <= carries * FULLEST * (1.0 + 1e-5)


def check_reason(rejection: Rejection) -> None:
    assert rejection.constraint in {"memory", "inventory", "budget"}
    assert rejection.shortfall > 0.0
    assert np.isfinite(rejection.shortfall)
    assert rejection.reason
    assert "\n" not in rejection.reason


def points(dimensions: int) -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(*[st.floats(0.0, 1.0)] * dimensions)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    counts=st.lists(st.sampled_from([0, 1, 2, 3, 5, 8, 11, 16]), min_size=2, max_size=2),
    node_gpus=st.sampled_from([1, 2, 3, 4, 8]),
    budget=st.none() | st.floats(0.5, 80.0),
    data=st.data(),
)
def test_every_point_is_a_feasible_plan_or_a_reason(
    context: Context,
    limited: Limited,
    counts: list[int],
    node_gpus: int,
    budget: float | None,
    data: st.DataObject,
) -> None:
    assume(any(counts))
    small = limited(context, counts, budget)
    for supply in small.supplies:
        card = supply.card.model_copy(update={"node_gpus": node_gpus})
        object.__setattr__(supply, "card", card)  # the copies that `limited` made
    table = OptionTable(small)
    encoding = Encoding(len(small.family), len(small.supplies))
    for point in data.draw(st.lists(points(encoding.dimensions), min_size=1, max_size=8)):
        genes = encoding.split(point)
        found = Decoder(small, table).decode(genes)
        if isinstance(found, Rejection):
            check_reason(found)
        else:
            check_feasible(found, small, table)
        again = Decoder(small, table).decode(genes)
        assert getattr(again, "key", again) == getattr(found, "key", found)


def genes_of(
    fractions: list[float], wants: list[list[float]], headroom: float = 0.0, haste: float = 0.0
) -> Genes:
    k = len(fractions)
    return Genes(np.array(fractions), np.array(wants), np.full(k, headroom), np.full(k, haste))


def cost_of(decision: Decision | Rejection, context: Context) -> float:
    assert isinstance(decision, Decision), decision
    return sum(p.gpus * context.supply(p.gpu).price_per_hour for p in decision.pools)


EVEN = [[0.5, 0.5], [0.5, 0.5]]


def test_a_wanted_type_that_is_full_leaves_its_share_to_another(
    context: Context, limited: Limited
) -> None:
    """Two types are wanted alike and one has no room: the other takes all."""
    small = limited(context, [2, 8], None)
    decoder = Decoder(small, OptionTable(small))
    found = decoder.decode(genes_of([0.0, 1.0], EVEN))
    assert isinstance(found, Decision), found
    assert {pool.gpu for pool in found.pools} == {"h100-sxm"}  # 70B does not fit on two L40S


def test_a_small_share_gets_one_small_replica(problem: Problem) -> None:
    """Of the cheapest a request, a large replica would stand almost idle."""
    context = problem.context
    found = problem.decoder.decode(genes_of([0.97, 0.03], [[1.0, 0.0], [0.0, 1.0]]))
    assert isinstance(found, Decision), found
    load = found.routing.fractions[1] * context.workload.rate_per_s
    (pool,) = [pool for pool in found.pools if pool.model == "llama-3.1-70b"]
    cheapest = min(
        option.price_per_hour * option.replicas_for(load / FULLEST)
        for option in problem.table.options
        if option.model == 1 and context.supplies[option.gpu].name == "h100-sxm"
    )
    assert pool.gpus * context.supply(pool.gpu).price_per_hour == pytest.approx(cheapest)


@pytest.mark.parametrize("headroom", [0.0, 0.5, 1.0])
def test_headroom_keeps_pools_emptier(problem: Problem, headroom: float) -> None:
    found = problem.decoder.decode(genes_of([1.0, 0.0], [[1.0, 0.0], [1.0, 0.0]], headroom))
    assert isinstance(found, Decision)
    (pool,) = found.pools
    carries = pool.replicas * problem.table.option(pool).goodput_per_s
    fullness = problem.context.workload.rate_per_s / carries
    assert fullness <= FULLEST - headroom * (FULLEST - EMPTIEST) + 1e-6


def test_haste_buys_speed(problem: Problem) -> None:
    wants = [[0.0, 1.0], [0.0, 1.0]]
    slow, fast = (
        problem.decoder.decode(genes_of([1.0, 0.0], wants, haste=haste)) for haste in (0.0, 1.0)
    )
    assert isinstance(slow, Decision)
    assert isinstance(fast, Decision)
    speeds = [problem.table.option(decision.pools[0]).speed_s for decision in (slow, fast)]
    assert speeds[1] < speeds[0]
    assert cost_of(slow, problem.context) < cost_of(fast, problem.context)


def test_headroom_and_haste_give_way_to_the_budget(context: Context, limited: Limited) -> None:
    wish = genes_of([0.8, 0.2], EVEN, headroom=1.0, haste=1.0)
    costs = []
    for budget in (None, 60.0, 40.0, 25.0):
        small = limited(context, [16, 16], budget)
        costs.append(cost_of(Decoder(small, OptionTable(small)).decode(wish), small))
        assert budget is None or costs[-1] <= budget
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 60.0


def rejection_of(context: Context, genes: Genes) -> Rejection:
    found = Decoder(context, OptionTable(context)).decode(genes)
    assert isinstance(found, Rejection)
    check_reason(found)
    return found


def test_a_budget_that_binds_says_what_it_would_take(context: Context, limited: Limited) -> None:
    found = rejection_of(limited(context, [8, 8], 5.0), genes_of([0.0, 1.0], EVEN))
    assert found.constraint == "budget"
    price = float(found.reason.split("$")[1].split(" ")[0])
    assert f"costs ${price:.2f} an hour, the budget is $5.00" in found.reason
    assert found.shortfall == pytest.approx(price / 5.0 - 1.0, abs=1e-3)


def test_an_inventory_that_binds_says_what_it_carries(
    context_of: Callable[..., Context], limited: Limited
) -> None:
    busy = context_of(workload={"trace": "azure-conversation", "duration_s": 20, "rate_scale": 50})
    small = limited(busy, [2, 0], None)
    found = rejection_of(small, genes_of([1.0, 0.0], [[1.0], [1.0]]))
    assert found.constraint == "inventory"
    table = OptionTable(small)
    rate = small.workload.rate_per_s
    # Which parallelism it is, haste and prices decide.
    carried = [0.95 * o.goodput_per_s * (2 // o.gpus) for o in table.options if o.model == 0]
    reasons = {
        f"llama-3.1-8b gets {rate:.3g} requests/s, and the GPUs left carry {most:.3g}": most
        for most in carried
    }
    assert found.reason in reasons
    assert found.shortfall == pytest.approx(1.0 - reasons[found.reason] / rate)


def test_a_model_that_fits_nowhere_says_why_on_each_type(
    context: Context, limited: Limited
) -> None:
    found = rejection_of(limited(context, [2, 1], None), genes_of([0.5, 0.5], EVEN))
    assert found.constraint == "memory"
    assert found.reason.startswith("llama-3.1-70b fits nowhere: on l40s it needs ")
    assert ", on h100-sxm it needs " in found.reason
    assert found.reason.count("GiB") >= 4


def test_a_rejection_has_no_negative_shortfall() -> None:
    for shortfall in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="shortfall"):
            Rejection("budget", "costs too much", shortfall)


def test_equal_fractions_share_one_routing(problem: Problem) -> None:
    """Points that differ in nothing that is decided are one plan."""
    size = problem.encoding.dimensions
    point: Any = [0.5] * size
    moved = list(point)
    moved[0] += 0.001  # less than a percent
    first, second = (problem.decode(tuple(p)) for p in (point, moved))
    assert isinstance(first, Decision)
    assert isinstance(second, Decision)
    assert first.key == second.key


def shares(problem: Problem, thresholds: Floats) -> list[float]:
    return [float(v) for v in problem.decoder.load_fractions(thresholds)]


def test_load_fractions_count_requests_and_not_rows(problem: Problem) -> None:
    score = problem.context.workload.score
    cut = float(np.median(score))
    assert shares(problem, np.array([cut])) == [np.mean(score <= cut), np.mean(score > cut)]


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(0, 100), min_size=2, max_size=2))
def test_a_model_without_requests_takes_no_scores(few_requests: Context, cuts: list[int]) -> None:
    """Else it would be sent queries of the table that no pool of its own could answer."""
    decoder = Decoder(few_requests, OptionTable(few_requests))
    edges = np.array([0, *sorted(cuts), 100])
    routing = decoder.routing_for(np.diff(edges) / 100.0)
    taken = realised_fractions(few_requests.score, routing.thresholds)
    for share, rows in zip(routing.fractions, taken, strict=True):
        assert share > 0.0 or rows == 0.0
    asked = thresholds_for(few_requests.score, np.diff(edges) / 100.0)
    assert routing.fractions == decoder.load_fractions(asked).tolist()
    assert decoder.load_fractions(np.array(routing.thresholds)).tolist() == routing.fractions


@pytest.fixture(scope="module")
def few_requests(context_of: Callable[..., Context]) -> Context:
    """Three models, and so few requests that many rows of the table are of none."""
    return context_of(
        models=["llama-3.1-8b", "llama-3.1-70b", {"name": "llama-3.1-405b", "weights": "fp8"}],
        workload={"trace": "azure-conversation", "duration_s": 120, "max_requests": 40},
        gpus={"h100-sxm": {"count": 16}},
    )
