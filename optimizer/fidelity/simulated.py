"""Parts by simulation, of a window of the workload or of all of it."""

from __future__ import annotations

from typing import Final

import numpy as np

from boute.evaluate import utilisation, with_request_time, within_limits
from boute.optimizer.fidelity.looker import latencies_among
from boute.optimizer.fidelity.part import Part, PartKey
from boute.optimizer.fidelity.window import window_of
from boute.optimizer.problem import Problem
from boute.simulation.fleet import FleetRun, PoolLoad, dealt, simulate_pools
from boute.simulation.verdict import judge_pool
from boute.workload.arrays import Ints

__all__ = ["SimulatedParts"]

# Work of a pool, of a thousand of its requests and of a thousand steps, in microseconds.
_POOL: Final = 60
_THOUSAND_REQUESTS: Final = 360
_THOUSAND_STEPS: Final = 25


class SimulatedParts:
    """Runs each pool on the requests that are its own, drawn as in a full evaluation.

    On a workload of at most `longest` requests parts are those of a full evaluation.
    """

    def __init__(self, problem: Problem, longest: int) -> None:
        context = problem.context
        self._context = context
        self._options = problem.table.options
        self._wanted = tuple(latencies_among(problem.wanted))
        self._window = window_of(context.workload, longest)
        seed = context.spec.workload.seed
        self._draw = np.random.default_rng(seed).random(len(self._window))
        self.is_whole = self._window is context.workload and self._window.thinning is None
        self.drains = self.is_whole
        self.requests = len(self._window)
        self.duration_s = self._window.duration_s

    def part(self, key: PartKey, share: float) -> tuple[Part, int]:
        """A part and the work that it took."""
        del share  # the requests of the window are what they are
        window = self._window
        mine = np.flatnonzero((window.score > key.above) & (window.score <= key.up_to))
        loads = [self._load(index, replicas) for index, replicas in key.placed]
        pool = dealt(self._draw[mine], np.array([load.weight for load in loads]))
        output = window.output_tokens[:, key.model]
        run = simulate_pools(
            loads,
            arrival_s=window.arrival_s[mine],
            input_tokens=window.input_tokens[mine],
            output_tokens=output[mine],
            pool=pool,
            seed=self._context.spec.workload.seed,
        )
        offered = [utilisation(load, mine[own], output, window)
                   for load, own in zip(loads, run.members, strict=True)]  # fmt: skip
        part = self._part(with_request_time(run, loads), loads, offered, output[mine])
        steps = sum(each.steps for each in run.runs)
        work = _POOL * len(loads)
        work += (_THOUSAND_REQUESTS * len(mine) + _THOUSAND_STEPS * steps) // 1000
        return part, work

    def _load(self, index: int, replicas: int) -> PoolLoad:
        option = self._options[index]
        weight = replicas * option.goodput_per_s
        return PoolLoad("", option.model, option.replica, replicas, weight)

    def _part(
        self, run: FleetRun, loads: list[PoolLoad], offered: list[float], output: Ints
    ) -> Part:
        latencies = {"ttft": run.ttft_s, "tpot": run.tpot_s, "e2e": run.e2e_s, "queue": run.queue_s}
        served = ~run.failed
        counted = {"tpot": served & (output > 1)}
        verdicts = [
            judge_pool(each, duration_s=self._window.duration_s, utilisation=load)
            for each, load in zip(run.runs, offered, strict=True)
        ]
        return Part(
            latencies={name: latencies[name][counted.get(name, served)] for name in self._wanted},
            within_limits=int(within_limits(run, self._context).sum()),
            tokens=int(output[served].sum()),
            dynamic_j=sum(each.dynamic_j for each in run.runs),
            idle_w=sum(load.replicas * load.replica.idle_w for load in loads),
            end_s=max(each.end_s for each in run.runs),
            utilisation=max(offered),
            unstable="unstable" in verdicts,
        )
