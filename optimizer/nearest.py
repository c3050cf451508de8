"""From a decision back to the cube: the point whose decoding comes nearest to it.

Decisions that were placed directly have no point of their own. Samplers that move in the cube
learn from them at this one.
"""

from __future__ import annotations

import numpy as np

from boute.context import Context
from boute.optimizer.assemble import Placement
from boute.optimizer.decoder import EMPTIEST, FULLEST
from boute.optimizer.encoding import Encoding, Point
from boute.optimizer.options import Option, OptionTable
from boute.plan.decision import Decision
from boute.plan.model import Routing

__all__ = ["nearest_point", "point_near"]


def nearest_point(
    decision: Decision, encoding: Encoding, context: Context, table: OptionTable
) -> Point:
    """The point with a decision's fractions, GPU types, fullness and parallelism, or nearly.

    The pools of the decision have to be options of the table; KeyError otherwise.
    """
    placement = {table.option(pool): pool.replicas for pool in decision.pools}
    rate = context.workload.peak_rate_per_s
    return point_near(decision.routing, placement, rate, encoding, context, table)


def point_near(
    routing: Routing,
    placement: Placement,
    rate_per_s: float,
    encoding: Encoding,
    context: Context,
    table: OptionTable,
) -> Point:
    """The point of a routing and of replicas that carry a rate; a model may have none.

    Decoded at another rate it gives about as many more or fewer GPUs.
    """
    carried = np.zeros((encoding.models, encoding.gpus))
    for option, replicas in placement.items():
        carried[option.model, option.gpu] += replicas * option.goodput_per_s
    load = np.array(routing.asked) * rate_per_s
    total = carried.sum(axis=1)
    fullness = np.divide(load, total, out=np.full_like(load, FULLEST), where=total > 0.0)
    haste = np.zeros(encoding.models)
    for option in placement:
        asked = float(carried[option.model, option.gpu])
        haste[option.model] = _haste(option, asked, context, table)
    favourite = carried.max(axis=1, keepdims=True)
    share = np.divide(carried, favourite, out=np.zeros_like(carried), where=favourite > 0.0)
    return encoding.join(
        # Cuts are shares of the rows, which the workload's requests repeat unequally.
        context.shares(routing),
        # The upper half of a preference is the part that counts: see the encoding.
        np.where(share > 0.0, 0.5 + 0.5 * share, 0.0),
        (FULLEST - fullness) / (FULLEST - EMPTIEST),
        haste,
    )


def _haste(option: Option, rate_per_s: float, context: Context, table: OptionTable) -> float:
    """The haste at which the decoder picks an option for a rate, or 0 where it never does."""
    supply = context.supplies[option.gpu]
    room = min(supply.card.node_gpus, supply.count)
    choices = table.choices_at(option.model, option.gpu, rate_per_s, room)
    return (choices.index(option) + 0.5) / len(choices) if option in choices else 0.0
