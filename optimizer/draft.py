"""A plan in the making: cuts between the models and replicas of options, as plain integers.

A draft costs nothing to copy, change and compare, so that a search can go through thousands. Its
decision has the same routing and replicas, with names and weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from boute.optimizer.assemble import assemble
from boute.optimizer.encoding import SHARE_STEPS
from boute.optimizer.options import Placed
from boute.optimizer.problem import Problem
from boute.plan.decision import Decision
from boute.plan.model import Routing

__all__ = ["Draft", "cuts_of", "decision_of_draft", "draft_of", "routing_of"]


class Draft(NamedTuple):
    """`cuts` [K - 1] are ascending percents of the queries, as in the encoding."""

    cuts: tuple[int, ...]
    placed: Placed


def draft_of(decision: Decision, problem: Problem) -> Draft:
    """The draft with a decision's pools and, to the percent, its shares.

    Pools have to be options of the table; KeyError otherwise.
    """
    index = problem.table.index
    placed = sorted((index[problem.table.option(p)], p.replicas) for p in decision.pools)
    return Draft(cuts_of(decision.routing, problem), tuple(placed))


def cuts_of(routing: Routing, problem: Problem) -> tuple[int, ...]:
    """The cuts, to the percent, of the rows that each model answers."""
    shares = problem.context.shares(routing)
    return tuple(np.rint(np.cumsum(shares)[:-1] * SHARE_STEPS).astype(int).tolist())


def routing_of(cuts: tuple[int, ...], problem: Problem) -> Routing:
    """The routing that cuts mean."""
    edges = np.array([0, *cuts, SHARE_STEPS], dtype=np.float64)
    return problem.decoder.routing_for(np.diff(edges) / SHARE_STEPS)


def decision_of_draft(draft: Draft, problem: Problem) -> Decision:
    """The decision that a draft means."""
    options = problem.table.options
    placement = {options[index]: replicas for index, replicas in draft.placed}
    return assemble(problem.context, routing_of(draft.cuts, problem), placement)
