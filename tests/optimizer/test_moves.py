"""Whatever a change makes of a draft is a plan within inventory, nodes and budget, or nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.context import Context
from boute.optimizer.draft import Draft, decision_of_draft, draft_of, routing_of
from boute.optimizer.encoding import SHARE_STEPS
from boute.optimizer.inventory import Inventory
from boute.optimizer.moves import Moves
from boute.optimizer.problem import Problem
from boute.optimizer.sobol_points import sobol_points
from boute.optimizer.worthwhile import worthwhile
from boute.plan.decision import Decision


@pytest.fixture(scope="module")
def tight(context: Context, limited: Callable[..., Context]) -> Problem:
    """Few GPUs and a budget, so that many changes do not fit."""
    return Problem(limited(context, [3, 4], 20.0))


def drafts(problem: Problem) -> list[Draft]:
    decoded = [problem.decode(p) for p in sobol_points(problem.encoding.dimensions, 64, 1)]
    return [draft_of(found, problem) for found in decoded if isinstance(found, Decision)]


def check(draft: Draft, problem: Problem) -> None:
    decision = decision_of_draft(draft, problem)  # every model with queries has a pool
    inventory = Inventory(problem.context.supplies)
    options = problem.table.options
    for index, replicas in sorted(draft.placed, key=lambda item: -options[item[0]].gpus):
        option = options[index]
        assert replicas > 0
        assert inventory.take(option.gpu, option.gpus, replicas) == replicas
    price = sum(options[index].price_per_hour * n for index, n in draft.placed)
    assert price <= (problem.context.spec.targets.budget_per_hour or np.inf) * (1.0 + 1e-9)
    assert list(draft.cuts) == sorted(draft.cuts)
    assert all(0 <= cut <= SHARE_STEPS for cut in draft.cuts)
    served = {pool.model for pool in decision.pools}
    for name, share in zip(decision.routing.models, decision.routing.fractions, strict=True):
        assert (name in served) == (share > 0.0)


@settings(deadline=None, max_examples=150)
@given(first=st.integers(0, 10**6), second=st.integers(0, 10**6), seed=st.integers(0, 2**32 - 1))
def test_a_change_is_a_sound_plan_and_another_one(
    tight: Problem, first: int, second: int, seed: int
) -> None:
    moves, known = Moves(tight), drafts(tight)
    draft, other = known[first % len(known)], known[second % len(known)]
    changed = moves.change(draft, other, np.random.default_rng(seed))
    again = moves.change(draft, other, np.random.default_rng(seed))
    assert changed == again
    if changed is not None:
        check(changed, tight)


def test_any_draft_can_be_reached_from_any_other(tight: Problem) -> None:
    """Chance alone comes to drafts of every routing, and of what is worthwhile and affordable."""
    moves, rng = Moves(tight), np.random.default_rng(0)
    draft = drafts(tight)[0]
    cuts, held = set(), set()
    for _ in range(6000):
        draft = moves.change(draft, draft, rng) or draft
        cuts.add(draft.cuts)
        held |= {index for index, _ in draft.placed}
    options = tight.table.options
    affordable = {index for index in worthwhile(options) if options[index].price_per_hour <= 20.0}
    assert len(cuts) > 60
    assert held >= affordable  # and what the first draft has beside these


def test_wide_moves_reach_every_option_that_is_affordable(tight: Problem) -> None:
    moves, rng = Moves(tight), np.random.default_rng(0)
    moves.widen()
    draft, held = drafts(tight)[0], set()
    for _ in range(6000):
        draft = moves.change(draft, draft, rng) or draft
        held |= {index for index, _ in draft.placed}
    affordable = {i for i, o in enumerate(tight.table.options) if o.price_per_hour <= 20.0}
    assert held == affordable


def test_neighbours_are_one_step_away(tight: Problem) -> None:
    moves = Moves(tight)
    draft = drafts(tight)[0]
    for neighbour in moves.neighbours(draft):
        before, after = dict(draft.placed), dict(neighbour.placed)
        options = {i for i in {*before, *after} if before.get(i) != after.get(i)}
        assert len(options) <= 2
        moved = sum(a != b for a, b in zip(draft.cuts, neighbour.cuts, strict=True))
        assert moved <= 1
        assert moved == 0 or not options


def test_wide_neighbours_have_each_cut_anywhere(tight: Problem) -> None:
    moves = Moves(tight)
    draft = drafts(tight)[0]
    moves.widen()
    recut = {n.cuts for n in moves.neighbours(draft) if n.placed == draft.placed}
    assert recut == {(cut,) for cut in range(SHARE_STEPS + 1)}


def test_what_lacks_gpus_is_given_some(tight: Problem) -> None:
    """Cuts that send queries to a model without a pool are completed with one that carries them."""
    moves, rng = Moves(tight), np.random.default_rng(1)
    small = next(i for i, o in enumerate(tight.table.options) if o.model == 0)
    found = [moves.completed(Draft((95,), ((small, 1),)), rng) for _ in range(40)]
    sound = [draft for draft in found if draft is not None]
    assert sound
    for draft in sound:
        check(draft, tight)
        rate = tight.context.workload.rate_per_s
        for model, share in enumerate(routing_of(draft.cuts, tight).fractions):
            carried = sum(
                n * tight.table.options[i].capacity_per_s
                for i, n in draft.placed
                if tight.table.options[i].model == model
            )
            assert carried >= share * rate
