"""Parts by simulation, of a window of the workload or of all of it."""

from __future__ import annotations

from typing import Final

import numpy as np

from boute.optimizer.fidelity.looker import latencies_among
from boute.optimizer.fidelity.part import Part, PartKey, merged
from boute.optimizer.fidelity.window import window_of
from boute.optimizer.options import Option
from boute.optimizer.problem import Problem
from boute.performance.mix import lengths_of
from boute.performance.steady import capacity
from boute.simulation.pool import PoolRun, simulate_pool
from boute.simulation.verdict import judge_pool, pool_utilisation
from boute.workload.arrays import Floats, Ints

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
        self._options = problem.table.options
        self._seed = context.spec.workload.seed
        self._limits = context.spec.targets.request_limits()
        self._wanted = tuple(latencies_among(problem.wanted))
        self._window = window_of(context.workload, longest)
        self._draw = np.random.default_rng(self._seed).random(len(self._window))
        self.is_whole = self._window is context.workload and self._window.thinning is None
        self.drains = self.is_whole
        self.requests = len(self._window)
        self.duration_s = self._window.duration_s

    def part(self, key: PartKey, share: float) -> tuple[Part, int]:
        """A part and the work that it took."""
        del share  # the requests of the window are what they are
        score = self._window.score
        mine = np.flatnonzero((score > key.above) & (score <= key.up_to))
        options = [self._options[index] for index, _ in key.placed]
        replicas = [count for _, count in key.placed]
        pool = self._pools_of(mine, options, replicas)
        parts, steps = [], 0
        for place, (option, count) in enumerate(zip(options, replicas, strict=True)):
            part, run = self._pool(option, count, mine[pool == place])
            parts.append(part)
            steps += run.steps
        work = _POOL * len(parts)
        work += (_THOUSAND_REQUESTS * len(mine) + _THOUSAND_STEPS * steps) // 1000
        return merged(parts), work

    def _pools_of(self, mine: Ints, options: list[Option], replicas: list[int]) -> Ints:
        """The pool of each request, drawn in proportion to what pools carry."""
        carried = np.array(replicas) * np.array([option.goodput_per_s for option in options])
        weights = carried / carried.sum()
        edges = np.cumsum(weights) / weights.sum()
        drawn = np.searchsorted(edges, self._draw[mine], side="right")
        return np.minimum(drawn, len(options) - 1)

    def _pool(self, option: Option, replicas: int, mine: Ints) -> tuple[Part, PoolRun]:
        window = self._window
        output = window.output_tokens[mine, option.model]
        arrival_s, inputs = window.arrival_s[mine], window.input_tokens[mine]
        run = simulate_pool(option.replica, replicas, arrival_s, inputs, output, self._seed + 1)
        load = 0.0
        if len(mine):
            carries = replicas * capacity(option.replica, lengths_of(inputs, output))
            load = pool_utilisation(mine, duration_s=window.duration_s, capacity_per_s=carries)
        verdict = judge_pool(run, duration_s=window.duration_s, utilisation=load)
        times = _times(run, output, option.replica.request_s)
        served = ~run.failed
        met = served.copy()
        for name, limit in self._limits.items():
            met &= times[name] <= limit
        counted = {"tpot": served & (output > 1)}
        part = Part(
            latencies={name: times[name][counted.get(name, served)] for name in self._wanted},
            within_limits=int(met.sum()),
            tokens=int(output[served].sum()),
            dynamic_j=run.dynamic_j,
            idle_w=replicas * option.replica.idle_w,
            end_s=run.end_s,
            utilisation=load,
            unstable=verdict == "unstable",
        )
        return part, run


def _times(run: PoolRun, output: Ints, around_s: float) -> dict[str, Floats]:
    """Latencies [n] of a pool's requests, as an evaluation has them."""
    e2e_s = run.finish_s - run.arrival_s
    with np.errstate(invalid="ignore"):
        tpot_s = np.where(run.failed, np.inf, (e2e_s - run.ttft_s) / np.maximum(output - 1, 1))
    return {
        "ttft": run.ttft_s + around_s,
        "tpot": tpot_s,
        "e2e": e2e_s + around_s,
        "queue": run.queue_s,
    }
