"""A measured run of one replica against the simulation of the same requests, one by one.

Requests arrive when they did. What is compared is the distribution of each latency, and how many
requests run and wait over time, both told from when each was first scheduled and when it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boute.metrics import LATENCIES
from boute.performance.replica import Replica
from boute.simulation.pool import simulate_pool

__all__ = ["Agreement", "RequestLog", "Times", "replay"]

Floats = NDArray[np.float64]
STATISTICS: Final[dict[str, Callable[[Floats], Any]]] = {
    "mean": np.mean,
    "p50": np.median,
    "p95": lambda values: np.percentile(values, 95.0),
}


@dataclass(frozen=True, eq=False)
class Times:
    """Seconds [N] at which each request was first scheduled, had its first token and its last."""

    start_s: Floats
    first_s: Floats
    finish_s: Floats


@dataclass(frozen=True, eq=False)
class RequestLog:
    """N requests that one replica answered, in order of arrival; times are on one clock."""

    arrival_s: Floats
    input_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    times: Times


@dataclass(frozen=True, eq=False)
class Agreement:
    """A log and what was predicted of its requests."""

    log: RequestLog
    predicted: Times

    def errors(self, *, among: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """(predicted - measured) / measured of each statistic, `ttft_mean` and so on.

        `among` [N] restricts it to some requests; TPOT is of those with more than one token.
        """
        chosen = np.ones(len(self.log.arrival_s), np.bool_) if among is None else among
        found = {}
        for latency in LATENCIES:
            for name, statistic in STATISTICS.items():
                measured, predicted = (
                    float(statistic(self._latency(times, latency, chosen)))
                    for times in (self.log.times, self.predicted)
                )
                if measured > 0:
                    found[f"{latency}_{name}"] = predicted / measured - 1.0
        return found

    def occupancy_errors(self, *, every_s: float = 1.0) -> dict[str, float]:
        """Mean absolute difference over time of the requests that run and that wait.

        Relative to the measured mean of those that run, until the last has ended in both.
        """
        end_s = max(self.log.times.finish_s.max(), self.predicted.finish_s.max())
        at_s = np.arange(self.log.arrival_s.min(), end_s, every_s)
        counts = [self.counts(times, at_s) for times in (self.log.times, self.predicted)]
        mean = counts[0]["running"].mean()
        return {
            name: float(np.abs(counts[1][name] - counts[0][name]).mean() / mean)
            for name in ("running", "waiting")
        }

    def counts(self, times: Times, at_s: Floats) -> dict[str, Floats]:
        """Requests `running` and `waiting` at each of the times [t]."""
        seen, started, ended = (
            np.searchsorted(np.sort(values), at_s, side="right").astype(np.float64)
            for values in (self.log.arrival_s, times.start_s, times.finish_s)
        )
        return {"running": started - ended, "waiting": seen - started}

    def _latency(self, times: Times, latency: str, among: NDArray[np.bool_]) -> Floats:
        outputs = self.log.output_tokens
        if latency == "tpot":
            among = among & (outputs > 1)
            decode_s = (times.finish_s - times.first_s)[among]
            return np.asarray(decode_s / (outputs[among] - 1))
        ends = {"ttft": times.first_s, "e2e": times.finish_s, "queue": times.start_s}
        return np.asarray((ends[latency] - self.log.arrival_s)[among])


def replay(log: RequestLog, replica: Replica) -> Agreement:
    """Simulate the requests of a log; raise ValueError for one that exceeds the KV cache."""
    run = simulate_pool(replica, 1, log.arrival_s, log.input_tokens, log.output_tokens, seed=0)
    if run.failed.any():
        raise ValueError(f"{int(run.failed.sum())} requests exceed the KV cache")
    # What a request pays around the engine comes before its first token is seen.
    around_s = replica.request_s
    predicted = Times(
        log.arrival_s + run.queue_s,
        log.arrival_s + run.ttft_s + around_s,
        run.finish_s + around_s,
    )
    return Agreement(log, predicted)
