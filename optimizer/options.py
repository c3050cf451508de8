"""The offline table: what each model can do on each GPU type with each parallelism.

For every (model, GPU type, TP, PP) that fits: how many requests a second it carries in a steady
state, and how many within the targets, for the workload's mix of lengths. It is made once a study,
in milliseconds, from the formulas of the performance model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from boute.context import Context, FamilyMember, Supply
from boute.performance.build import build_replica
from boute.performance.mix import lengths_of
from boute.performance.replica import Replica
from boute.performance.steady import Lengths, Steady, capacity, latency_at
from boute.plan.model import Pool

__all__ = ["ROUNDING", "Option", "OptionTable", "Placed"]

Placed = tuple[tuple[int, int], ...]
"""Replicas, at least one, by index of the option in the table; in ascending order."""


PIPELINES: Final = (1, 2, 4)

# Relative: what rounding may leave of a load uncovered without asking for one more replica.
ROUNDING: Final = 1e-6

# Halvings when looking for the highest rate within the targets: to 0.1% of the capacity.
_HALVINGS: Final = 10

# Answers of `choices_at` kept: some 20 MB.
_MOST_REMEMBERED: Final = 50_000

_QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, eq=False)
class Option:
    """One way to run a model: `model` and `gpu` are indices into the context's.

    `capacity_per_s` is the highest rate that one replica sustains, `goodput_per_s` the highest at
    which the mean latencies keep the targets (the capacity where there are none, or where the model
    can keep them nowhere). `speed_s` is the mean E2E latency at half of that.
    """

    model: int
    gpu: int
    tensor_parallel: int
    pipeline_parallel: int
    replica: Replica
    lengths: Lengths
    capacity_per_s: float
    goodput_per_s: float
    speed_s: float
    price_per_hour: float

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def price_per_request(self) -> float:
        """Dollars a request when filled to its goodput."""
        return self.price_per_hour / 3600.0 / self.goodput_per_s

    def replicas_for(self, rate_per_s: float) -> int:
        """Whole replicas, at least one, that carry a rate but for a millionth of it."""
        return max(math.ceil(rate_per_s / self.goodput_per_s * (1.0 - ROUNDING)), 1)

    def at_rate(self, rate_per_s: float) -> Steady:
        """Steady state of one replica; beyond 99% of the capacity, that at 99%.

        Queues without end would hide by how much one overload is worse than another, which is what
        its caller adds.
        """
        return latency_at(self.replica, min(rate_per_s, 0.99 * self.capacity_per_s), self.lengths)


class OptionTable:
    """All options of a context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._models = {name: index for index, name in enumerate(context.model_names)}
        self._gpus = {supply.name: index for index, supply in enumerate(context.supplies)}
        self._misfits: dict[tuple[int, int], str] = {}
        workload = context.workload
        self._output_quantiles = [
            {stat: float(np.quantile(output, q)) for stat, q in _QUANTILES.items()}
            for output in workload.output_tokens.T
        ]
        lengths = [
            lengths_of(workload.input_tokens, workload.output_tokens[:, index])
            for index in range(len(context.family))
        ]
        self.options = tuple(
            option
            for index, member in enumerate(context.family)
            for option in self._of_model(index, member, lengths[index])
        )
        self.index = {option: index for index, option in enumerate(self.options)}
        self._by_shape = {
            (option.model, option.gpu, option.tensor_parallel, option.pipeline_parallel): option
            for option in self.options
        }
        self._of_pairs = {
            (model, gpu): [o for o in self.options if (o.model, o.gpu) == (model, gpu)]
            for model in range(len(context.family))
            for gpu in range(len(context.supplies))
        }
        self._goodputs = {
            pair: np.array([option.goodput_per_s for option in found])
            for pair, found in self._of_pairs.items()
        }
        self._choices_at: dict[tuple[int, int, int, bytes], tuple[Option, ...]] = {}
        self._choices = {
            pair: _efficient(found, lambda option: option.price_per_request)
            for pair, found in self._of_pairs.items()
        }

    def choices(self, model: int, gpu: int) -> tuple[Option, ...]:
        """Options of a pair to choose between for a large load, cheapest a request to fastest."""
        return self._choices[model, gpu]

    def choices_at(self, model: int, gpu: int, rate_per_s: float, room: int) -> tuple[Option, ...]:
        """Options of a pair to choose between for a rate, cheapest an hour to fastest.

        Replicas come whole: for a small rate the cheapest is one small replica, not the option
        that is cheapest a request. Options of more than `room` GPUs are left out.
        """
        goodputs = self._goodputs[model, gpu]
        replicas = np.maximum(np.ceil(rate_per_s / goodputs * (1.0 - ROUNDING)), 1.0)
        # Most rates ask for numbers of replicas that another rate has asked for before.
        key = (model, gpu, room, replicas.tobytes())
        if key not in self._choices_at:
            if len(self._choices_at) >= _MOST_REMEMBERED:
                self._choices_at.clear()
            fitting = (option for option in self._of_pairs[model, gpu] if option.gpus <= room)
            self._choices_at[key] = _efficient(
                fitting, lambda option: option.replicas_for(rate_per_s) * option.price_per_hour
            )
        return self._choices_at[key]

    def option(self, pool: Pool) -> Option:
        """The option that a pool runs; raise KeyError when there is none."""
        model, gpu = self._models[pool.model], self._gpus[pool.gpu]
        return self._by_shape[model, gpu, pool.tensor_parallel, pool.pipeline_parallel]

    def misfit(self, model: int, gpu: int) -> str:
        """Why a pair has no option: a sentence of the largest replica that was tried."""
        return self._misfits.get((model, gpu), "cannot keep the targets at any rate")

    def why_not(self, model: int) -> str:
        """Why a model has no option at all, in a sentence."""
        name = self._context.model_names[model]
        found = [
            f"on {supply.name} it {self._misfits[model, gpu]}"
            for gpu, supply in enumerate(self._context.supplies)
            if (model, gpu) in self._misfits
        ]
        return f"{name} fits nowhere: {', '.join(found)}"

    def _of_model(self, index: int, member: FamilyMember, lengths: Lengths) -> list[Option]:
        found = [
            option
            for gpu, supply in enumerate(self._context.supplies)
            for option in self._of_pair(index, member, gpu, supply, lengths)
        ]
        for option in found:
            self._misfits.pop((index, option.gpu), None)  # it fits, if not in every shape
        # Options that keep no target are of use only to a model that has no others.
        able = [option for option in found if option.goodput_per_s > 0.0]
        return able or [_unlimited(option) for option in found]

    def _of_pair(
        self, index: int, member: FamilyMember, gpu: int, supply: Supply, lengths: Lengths
    ) -> Iterator[Option]:
        for tensor, pipeline in _shapes(supply):
            replica = build_replica(
                member.card,
                supply.card,
                member.choice,
                self._context.spec.engine,
                tensor_parallel=tensor,
                pipeline_parallel=pipeline,
                max_model_len=self._context.max_model_len,
                measured=self._context.measured,
            )
            if isinstance(replica, str):
                self._misfits[index, gpu] = replica  # that of the largest shape is kept
                continue
            highest = capacity(replica, lengths)
            goodput = self._goodput(replica, lengths, highest, index)
            steady = latency_at(replica, 0.5 * (goodput or highest), lengths)
            yield Option(
                model=index,
                gpu=gpu,
                tensor_parallel=tensor,
                pipeline_parallel=pipeline,
                replica=replica,
                lengths=lengths,
                capacity_per_s=highest,
                goodput_per_s=goodput,
                speed_s=steady.ttft_s + steady.tpot_s * (lengths.output_tokens - 1.0),
                price_per_hour=tensor * pipeline * supply.price_per_hour,
            )

    def _goodput(self, replica: Replica, lengths: Lengths, highest: float, model: int) -> float:
        """Highest rate at which mean latencies keep the targets; 0 when none does."""
        limits = self._context.spec.targets.latency_limits()
        tokens = self._output_quantiles[model]

        def keeps(rate: float) -> bool:
            steady = latency_at(replica, rate, lengths)
            for metric, limit in limits.items():
                latency, statistic, _ = metric.split("_")
                e2e = steady.ttft_s + steady.tpot_s * (tokens[statistic] - 1.0)
                value = {"ttft": steady.ttft_s, "tpot": steady.tpot_s, "e2e": e2e}[latency]
                if value > limit:
                    return False
            return True

        if not limits or keeps(0.999 * highest):
            return highest
        low, high = 0.0, highest
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if keeps(middle) else (low, middle)
        return low


def _shapes(supply: Supply) -> Iterator[tuple[int, int]]:
    """Tensor and pipeline parallelism of replicas that stay inside one node."""
    room = min(supply.card.node_gpus, supply.count)
    tensor = 1
    while tensor <= room:
        for pipeline in PIPELINES:
            if tensor * pipeline <= room:
                yield tensor, pipeline
        tensor *= 2


def _efficient(options: Iterable[Option], price: Callable[[Option], float]) -> tuple[Option, ...]:
    """Options that no other beats in both price and speed, cheapest first."""
    kept: list[Option] = []
    for option in sorted(options, key=lambda o: (price(o), o.speed_s)):
        if not kept or option.speed_s < kept[-1].speed_s:
            kept.append(option)
    return tuple(kept)


def _unlimited(option: Option) -> Option:
    return replace(option, goodput_per_s=option.capacity_per_s)
