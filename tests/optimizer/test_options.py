from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.context import Context
from boute.evaluate import build_pool_replica
from boute.optimizer.options import Option, OptionTable
from boute.optimizer.problem import Problem
from boute.performance.measured import MeasuredEntry
from boute.performance.steady import latency_at
from boute.plan.model import Pool

Limited = Callable[[Context, list[int], float | None], Context]


@pytest.fixture(scope="module")
def table(problem: Problem) -> OptionTable:
    return problem.table


def speed_at_half(option: Option) -> float:
    steady = latency_at(option.replica, 0.5 * option.goodput_per_s, option.lengths)
    return steady.ttft_s + steady.tpot_s * (option.lengths.output_tokens - 1.0)


def test_goodput_is_within_the_capacity_and_keeps_the_targets(table: OptionTable) -> None:
    """The targets of the fixture are on TTFT and TPOT."""
    for option in table.options:
        assert 0.0 < option.goodput_per_s <= option.capacity_per_s
        assert option.speed_s == pytest.approx(speed_at_half(option))
        kept = latency_at(option.replica, 0.999 * option.goodput_per_s, option.lengths)
        assert kept.ttft_s <= 2.0
        assert kept.tpot_s <= 0.1
        if option.goodput_per_s < 0.998 * option.capacity_per_s:
            missed = latency_at(
                option.replica, option.goodput_per_s + 0.002 * option.capacity_per_s, option.lengths
            )
            assert missed.ttft_s > 2.0 or missed.tpot_s > 0.1


def test_shapes_stay_in_a_node(context: Context, limited: Limited) -> None:
    for counts in ([8, 8], [3, 5], [1, 8]):
        small = limited(context, counts, None)
        for option in OptionTable(small).options:
            supply = small.supplies[option.gpu]
            assert option.gpus <= min(supply.count, supply.card.node_gpus)
            assert option.price_per_hour == pytest.approx(option.gpus * supply.price_per_hour)


def beaten(option: Option, others: list[Option], price: Callable[[Option], float]) -> bool:
    return any(
        price(other) <= price(option)
        and other.speed_s <= option.speed_s
        and (price(other), other.speed_s) != (price(option), option.speed_s)
        for other in others
    )


def test_choices_are_efficient_and_from_cheapest_to_fastest(table: OptionTable) -> None:
    for model in range(2):
        for gpu in range(2):
            found = list(table.choices(model, gpu))
            others = [o for o in table.options if (o.model, o.gpu) == (model, gpu)]
            prices = [option.price_per_request for option in found]
            speeds = [option.speed_s for option in found]
            assert prices == sorted(prices)
            assert speeds == sorted(speeds, reverse=True)
            for option in others:
                efficient = not beaten(option, others, lambda o: o.price_per_request)
                assert (option in found) == efficient


@given(rate=st.floats(1e-3, 200.0), room=st.integers(0, 8))
def test_choices_for_a_rate_are_efficient_in_whole_replicas(
    table: OptionTable, rate: float, room: int
) -> None:
    def cost(option: Option) -> float:
        return option.replicas_for(rate) * option.price_per_hour

    for model in range(2):
        found = list(table.choices_at(model, 1, rate, room))
        fitting = [o for o in table.options if (o.model, o.gpu) == (model, 1) and o.gpus <= room]
        assert bool(found) == bool(fitting)
        assert [cost(o) for o in found] == sorted(cost(o) for o in found)
        for option in fitting:
            if not beaten(option, fitting, cost):
                assert any((cost(o), o.speed_s) == (cost(option), option.speed_s) for o in found)
        assert not any(beaten(option, fitting, cost) for option in found)


@given(st.floats(1e-6, 1e6))
def test_replicas_carry_the_rate(table: OptionTable, rate: float) -> None:
    option = table.options[0]
    count = option.replicas_for(rate)
    assert count >= 1
    assert count * option.goodput_per_s >= rate * (1.0 - 1e-5)
    assert count == 1 or (count - 1) * option.goodput_per_s < rate


def test_a_hair_above_a_whole_replica_is_no_further_one(table: OptionTable) -> None:
    option = table.options[0]
    assert option.replicas_for(3.0 * option.goodput_per_s * (1.0 + 1e-9)) == 3


def test_at_rate_has_no_queue_without_end(table: OptionTable) -> None:
    option = table.options[0]
    loaded, overloaded = (option.at_rate(f * option.capacity_per_s) for f in (0.99, 5.0))
    assert overloaded == loaded
    assert overloaded.ttft_s < 1e6


def test_targets_that_no_option_keeps_leave_the_capacity(
    context_of: Callable[..., Context],
) -> None:
    table = OptionTable(context_of(targets={"ttft_p95_s": 1e-6}))
    assert {option.model for option in table.options} == {0, 1}
    assert all(option.goodput_per_s == option.capacity_per_s for option in table.options)


def test_without_targets_goodput_is_the_capacity(context_of: Callable[..., Context]) -> None:
    table = OptionTable(context_of(targets={}))
    assert all(option.goodput_per_s == option.capacity_per_s for option in table.options)


def test_a_pair_with_no_option_says_why(context: Context, limited: Limited) -> None:
    table = OptionTable(limited(context, [2, 8], None))
    assert table.choices(1, 0) == ()
    assert table.misfit(1, 0).startswith("needs ")
    assert "GiB" in table.misfit(1, 0)


def test_a_pair_that_keeps_no_target_says_so(context_of: Callable[..., Context]) -> None:
    """70B keeps 25 ms between tokens on some H100 shape and on no L40S one."""
    table = OptionTable(context_of(targets={"tpot_p95_s": 0.025}))
    assert table.choices(1, 1)
    assert table.choices(1, 0) == ()
    assert table.misfit(1, 0) == "cannot keep the targets at any rate"


def test_option_of_a_pool(table: OptionTable) -> None:
    pool = Pool(
        name="a", model="llama-3.1-70b", gpu="h100-sxm", tensor_parallel=4, replicas=1, weight=1.0
    )
    option = table.option(pool)
    assert (option.model, option.gpu, option.tensor_parallel) == (1, 1, 4)
    with pytest.raises(KeyError):
        table.option(pool.model_copy(update={"tensor_parallel": 1}))  # its weights do not fit


def test_options_are_made_of_what_was_measured(context: Context) -> None:
    """The table and the simulator run on the same replicas."""
    times = {"floor_s": 0.02, "token_s": 1e-5, "sequence_s": 1e-4, "pair_s": 0, "context_s": 0}
    errors = dict.fromkeys(("ttft_p50_error", "e2e_p50_error", "e2e_p95_error"), 0.1)
    seconds = {"ttft_p50_s": 0.1, "e2e_p50_s": 1.0, "e2e_p95_s": 2.0}
    entry = MeasuredEntry.model_validate(
        {
            **{"gpu": "l40s", "model": "llama-3.1-8b", "weights": "bf16", "kv_cache": "bf16"},
            **{"tensor_parallel": 1, "pipeline_parallel": 1, "kv_tokens": 100_000},
            **{"made_on": "2026-01-02", "engine": "a test", "times": times | {"request_s": 0.3}},
            "held_out": {"requests": 50, "rate_per_s": 1, "load": 0.6, **seconds, **errors}
            | {"e2e_request_error": 0.1},
            "conditions": {"requests": 9, "concurrency": [1, 2], "longest_tokens": 64}
            | {"rounds": 3, "seed": 0},
        }
    )
    measured = replace(context, measured=(entry,))
    options = OptionTable(measured).options
    assert any(option.replica.request_s == 0.3 for option in options)
    for option in options:
        pool = Pool(
            name="any",
            model=measured.model_names[option.model],
            gpu=measured.supplies[option.gpu].name,
            tensor_parallel=option.tensor_parallel,
            pipeline_parallel=option.pipeline_parallel,
            replicas=1,
            weight=1.0,
        )
        replica = build_pool_replica(pool, measured)
        assert replica.costs.tolist() == option.replica.costs.tolist()
        assert replica.kv_blocks == option.replica.kv_blocks
        rate = 0.5 * option.capacity_per_s
        inside = latency_at(replace(replica, request_s=0.0), rate, option.lengths)
        assert option.at_rate(rate).ttft_s == pytest.approx(inside.ttft_s + replica.request_s)
