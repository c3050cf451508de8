"""From whole replicas of options to the pools of a decision.

Every plan of the search is put together here, so that two samplers that place the same replicas
for the same routing have the same decision, to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping

from boute.context import Context
from boute.optimizer.options import Option
from boute.plan.decision import Decision
from boute.plan.model import Pool, Routing

__all__ = ["Placement", "assemble", "price_per_hour"]

Placement = Mapping[Option, int]
"""Replicas, at least one, of each option that is used."""


def assemble(context: Context, routing: Routing, placement: Placement) -> Decision:
    """The decision: a pool an option, which takes queries in proportion to what it carries.

    Raises ValueError when a model takes queries and has no option in the placement.
    """
    ordered = sorted(placement.items(), key=lambda item: _place(item[0]))
    carried: dict[int, float] = {}
    for option, replicas in ordered:
        rate = replicas * option.goodput_per_s
        carried[option.model] = carried.get(option.model, 0.0) + rate
    pools = tuple(
        _pool(context, option, replicas, replicas * option.goodput_per_s / carried[option.model])
        for option, replicas in ordered
    )
    return Decision(routing, pools)


def price_per_hour(placement: Placement) -> float:
    """Dollars an hour of all GPUs taken."""
    return sum(replicas * option.price_per_hour for option, replicas in placement.items())


def _place(option: Option) -> tuple[int, int, int, int]:
    return option.model, option.gpu, option.tensor_parallel, option.pipeline_parallel


def _pool(context: Context, option: Option, replicas: int, weight: float) -> Pool:
    model = context.model_names[option.model]
    gpu = context.supplies[option.gpu].name
    shape = f"tp{option.tensor_parallel}"
    if option.pipeline_parallel > 1:
        shape += f"-pp{option.pipeline_parallel}"
    return Pool(
        name=f"{model}.{gpu}.{shape}",
        model=model,
        gpu=gpu,
        tensor_parallel=option.tensor_parallel,
        pipeline_parallel=option.pipeline_parallel,
        replicas=replicas,
        weight=weight,
    )
