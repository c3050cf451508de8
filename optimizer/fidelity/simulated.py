"""Parts by simulation, of a window of the workload or of all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from boute.evaluate import utilisation, with_request_time, within_limits
from boute.optimizer.fidelity.looker import latencies_among
from boute.optimizer.fidelity.part import Part, PartKey, after
from boute.optimizer.fidelity.window import window_of
from boute.optimizer.problem import Problem
from boute.routing.policies.of import policy_of
from boute.routing.policies.policy import Bools, Queries
from boute.simulation.cascade import Stage, draws_of_stage, run_stage
from boute.simulation.fleet import PoolLoad, dealt, simulate_pools
from boute.simulation.verdict import judge_pool
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
        self._context = context
        self._options = problem.table.options
        self._wanted = tuple(latencies_among(problem.wanted))
        self._window = window_of(context.workload, longest)
        seed = context.spec.workload.seed
        name = context.spec.quality.policy
        self._policy = policy_of(name, context.evidence.take(self._window.row))
        self._is_cascade = name == "cascade"
        self._draws = [draws_of_stage(len(self._window), seed, 0)]
        self.is_whole = self._window is context.workload and self._window.thinning is None
        self.drains = self.is_whole
        self.requests = len(self._window)
        self.duration_s = self._window.duration_s

    def part(self, key: PartKey, share: float, before: Part | None = None) -> tuple[Part, int]:
        """A part and the work that it took."""
        del share  # the requests of the window are what they are
        queries = self._policy.queries(key.queries, key.model)
        loads = [self._load(index, replicas) for index, replicas in key.placed]
        if self._is_cascade:
            part, requests, steps = self._stage(key, queries, loads, before)
        else:
            part, requests, steps = self._alone(key.model, queries, loads)
        work = _POOL * len(loads)
        work += (_THOUSAND_REQUESTS * requests + _THOUSAND_STEPS * steps) // 1000
        return part, work

    def _alone(self, model: int, queries: Queries, loads: list[PoolLoad]) -> tuple[Part, int, int]:
        """The part of a model that nothing comes before, its requests and its steps."""
        window = self._window
        mine = np.flatnonzero(queries.asked)
        output = window.output_tokens[mine, model]
        run = simulate_pools(
            loads,
            arrival_s=window.arrival_s[mine],
            input_tokens=window.input_tokens[mine],
            output_tokens=output,
            pool=dealt(self._draws[0][mine], _weights(loads)),
            seed=self._context.spec.workload.seed,
        )
        part = self._part(Stage(mine, with_request_time(run, loads)), loads, output)
        return part, len(mine), sum(each.steps for each in run.runs)

    def _stage(
        self, key: PartKey, queries: Queries, loads: list[PoolLoad], before: Part | None
    ) -> tuple[Part, int, int]:
        """The part of a stage of a cascade, its requests and its steps."""
        window, seed = self._window, self._context.spec.workload.seed
        earlier = None if before is None else before.left_s
        left_s = np.zeros((2, len(window))) if earlier is None else earlier.copy()
        depth = _depth(key)
        while len(self._draws) <= depth:
            self._draws.append(draws_of_stage(len(window), seed, len(self._draws)))
        mine, run = run_stage(
            loads,
            np.flatnonzero(queries.asked & np.isfinite(left_s[0])),
            dealt(self._draws[depth], _weights(loads)),
            arrival_s=window.arrival_s + left_s[0],
            input_tokens=window.input_tokens,
            output_tokens=window.output_tokens[:, key.model],
            seed=seed,
        )
        times = {"ttft": run.ttft_s, "tpot": run.tpot_s, "e2e": run.e2e_s, "queue": run.queue_s}
        times = after(left_s[:, mine], times, streams=queries.streams)
        left_s[:, mine] = times["e2e"], times["queue"]
        whole = replace(
            run,
            ttft_s=times["ttft"],
            tpot_s=times["tpot"],
            e2e_s=times["e2e"],
            queue_s=times["queue"],
        )
        output = window.output_tokens[mine, key.model]
        part = self._part(Stage(mine, whole), loads, output, queries.answered[mine])
        return replace(part, left_s=left_s), len(mine), sum(each.steps for each in run.runs)

    def _load(self, index: int, replicas: int) -> PoolLoad:
        option = self._options[index]
        weight = replicas * option.goodput_per_s
        return PoolLoad("", option.model, option.replica, replicas, weight)

    def _part(
        self, stage: Stage, loads: list[PoolLoad], output: Ints, answered: Bools | None = None
    ) -> Part:
        """The part of a run whose requests have `output` [n] tokens; all are answered, or some."""
        run = stage.run
        offered = [utilisation(load, stage.mine[own], self._window)
                   for load, own in zip(loads, run.members, strict=True)]  # fmt: skip
        latencies = {"ttft": run.ttft_s, "tpot": run.tpot_s, "e2e": run.e2e_s, "queue": run.queue_s}
        served = ~run.failed if answered is None else ~run.failed & answered
        counted = {"tpot": served & (output > 1)}
        verdicts = [
            judge_pool(each, duration_s=self._window.duration_s, utilisation=load)
            for each, load in zip(run.runs, offered, strict=True)
        ]
        return Part(
            latencies={name: latencies[name][counted.get(name, served)] for name in self._wanted},
            within_limits=int((within_limits(run, self._context) & served).sum()),
            tokens=int(output[served].sum()),
            dynamic_j=sum(each.dynamic_j for each in run.runs),
            idle_w=sum(load.replicas * load.replica.idle_w for load in loads),
            end_s=max(each.end_s for each in run.runs),
            utilisation=max(offered),
            unstable="unstable" in verdicts,
        )


def _weights(loads: list[PoolLoad]) -> Floats:
    return np.array([load.weight for load in loads])


def _depth(key: PartKey) -> int:
    """How many models were asked before this one."""
    return 0 if key.before is None else 1 + _depth(key.before)
