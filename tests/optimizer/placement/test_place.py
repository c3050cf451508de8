"""The integer programs against every placement of a few options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.context import Context, Supply
from boute.optimizer.assemble import Placement, price_per_hour
from boute.optimizer.enumeration import placements
from boute.optimizer.options import Option
from boute.optimizer.placement.build import LEVELS, Program, build_cheapest, build_fastest
from boute.optimizer.placement.decode import placement_of
from boute.optimizer.placement.place import cheapest_placement, fastest_placement
from boute.optimizer.placement.solve import relaxed, solve
from boute.optimizer.problem import Problem
from boute.workload.arrays import Floats

Limited = Callable[[Context, list[int], float | None], Context]


def carried(placement: Placement, models: int) -> Floats:
    rates = np.zeros(models)
    for option, replicas in placement.items():
        rates[option.model] += replicas * option.goodput_per_s
    return rates


def every(
    options: Sequence[Option], supplies: Sequence[Supply], load: Floats, fullness: float
) -> Iterator[Placement]:
    """Placements that carry the load, every one."""
    models = [model for model, rate in enumerate(load) if rate > 0.0]
    for placement in placements(options, models, supplies):
        if np.all(carried(placement, len(load)) * fullness >= load * (1.0 - 1e-9)):
            yield placement


@settings(max_examples=30)
@given(
    counts=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    share=st.sampled_from([0.0, 0.1, 0.35, 0.8, 1.0]),
    rate=st.floats(0.5, 30.0),
    fullness=st.sampled_from([0.5, 0.95]),
)
def test_the_cheapest_is_that_of_brute_force_and_the_relaxation_is_below(
    problem: Problem,
    limited: Limited,
    counts: tuple[int, int],
    share: float,
    rate: float,
    fullness: float,
) -> None:
    supplies = limited(problem.context, list(counts), None).supplies
    options = [o for o in problem.table.options if o.gpus <= min(counts[o.gpu], 4)]
    load = np.array([1.0 - share, share]) * rate
    program = build_cheapest(options, supplies, load, fullness)
    solution = solve(program, gap=0.0)
    found = placement_of(program, solution)
    prices = [price_per_hour(placement) for placement in every(options, supplies, load, fullness)]
    assert (found is None) == (not prices)
    if found is None:
        assert solution.bound == np.inf
        return
    assert price_per_hour(found) == pytest.approx(min(prices))
    assert np.all(carried(found, 2) * fullness >= load * (1.0 - 1e-6))
    assert relaxed(program) <= min(prices) + 1e-9
    assert solution.bound == pytest.approx(min(prices))


def test_the_fastest_is_that_of_brute_force(problem: Problem, limited: Limited) -> None:
    """The best split of each placement over levels is an LP of its own, solved with it fixed."""
    supplies = limited(problem.context, [2, 2], None).supplies
    options = [o for o in problem.table.options if o.gpus <= 2]
    load = np.array([6.0, 1.0])
    for budget in (8.0, 12.0, 20.0):
        program = build_fastest(options, supplies, load, budget)
        solution = solve(program, gap=0.0)
        fixed = [
            with_replicas(program, placement)
            for placement in placements(options, (0, 1), supplies, budget)
        ]
        best = min((relaxed(each) for each in fixed), default=np.inf)
        assert solution.bound == pytest.approx(best, rel=1e-6)
        found = placement_of(program, solution)
        assert (found is None) == (best == np.inf)
        assert found is None or price_per_hour(found) <= budget * (1.0 + 1e-9)


def with_replicas(program: Program, placement: Placement) -> Program:
    """The program with its replicas fixed."""
    n = len(program.options)
    rows = np.hstack([np.eye(n), np.zeros((n, len(program.cost) - n))])
    replicas = np.array([float(placement.get(option, 0)) for option in program.options])
    return Program(
        program.options,
        program.cost,
        np.vstack([program.rows, rows]),
        np.concatenate([program.low, replicas]),
        np.concatenate([program.high, replicas]),
        program.whole,
    )


def test_more_money_is_never_slower(problem: Problem) -> None:
    options, supplies = problem.table.options, problem.context.supplies
    load = np.array([10.0, 2.0])
    bounds = [
        solve(build_fastest(options, supplies, load, budget), gap=0.0, seconds=5.0).bound
        for budget in (10.0, 15.0, 30.0)
    ]
    assert bounds[0] >= bounds[1] - 1e-6 >= bounds[2] - 2e-6


def test_placements_of_a_problem(problem: Problem) -> None:
    fractions = np.array([0.7, 0.3])
    load = fractions * problem.context.workload.rate_per_s
    cheap = cheapest_placement(problem, fractions, 0.95)
    fast = fastest_placement(problem, fractions, 30.0)
    assert cheap is not None
    assert fast is not None
    assert np.all(carried(cheap, 2) * 0.95 >= load * (1.0 - 1e-6))
    assert np.all(carried(fast, 2) * max(LEVELS) >= load * (1.0 - 1e-6))
    assert price_per_hour(cheap) <= price_per_hour(fast) <= 30.0


def test_a_load_beyond_the_inventory_has_no_placement(problem: Problem) -> None:
    options, supplies = problem.table.options, problem.context.supplies
    program = build_cheapest(options, supplies, np.array([0.0, 1e4]), 0.95)
    assert placement_of(program, solve(program)) is None
    assert relaxed(program) == np.inf
    without = build_cheapest([o for o in options if o.model == 0], supplies, np.ones(2), 0.95)
    assert solve(without).columns is None


def test_node_boundaries_are_kept(problem: Problem, limited: Limited) -> None:
    """Of three GPUs a replica of two fits once, though three are half as many again."""
    supplies = limited(problem.context, [8, 3], None).supplies
    pairs = [o for o in problem.table.options if (o.model, o.gpu, o.gpus) == (1, 1, 2)]
    most = max(o.goodput_per_s for o in pairs)
    for load, fits in ((0.9 * most, True), (1.1 * most, False)):
        program = build_cheapest(pairs, supplies, np.array([0.0, load]), 1.0)
        assert (solve(program).columns is not None) == fits


def test_brute_force_here_is_not_empty(problem: Problem, limited: Limited) -> None:
    supplies = limited(problem.context, [2, 2], None).supplies
    options = [o for o in problem.table.options if o.gpus == 1]
    assert len(list(product(every(options, supplies, np.array([1.0, 0.0]), 0.95)))) > 1
