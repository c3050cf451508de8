"""Evaluating decisions here, side by side in processes, or on a Ray cluster.

Results come in the order of the decisions, so that the number of workers changes nothing but the
time. Workers are spawned, not forked: the parent may hold the threads of a BLAS.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from boute.context import Context
from boute.errors import BouteError
from boute.optimizer.robustness import Judge, as_it_is
from boute.outcome import Outcome
from boute.plan.decision import Decision
from boute.resamples import Resamples

__all__ = ["Evaluator", "Workers", "make_workers"]

_resamples: Resamples | None = None  # of this worker process


class Evaluator(Protocol):
    """What a search needs: outcomes in order, and an end."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def outcomes(self, decisions: Sequence[Decision], judge: Judge = as_it_is) -> Iterator[Outcome]:
        """The outcome of each decision, in order, as it becomes known."""
        ...


def make_workers(context: Context, workers: int | str) -> Evaluator:
    """So many processes, or the Ray cluster at an address; raise InputError, ServingError."""
    if isinstance(workers, int):
        return Workers(context, workers)
    from boute.optimizer.ray_workers import RayWorkers

    return RayWorkers(context, workers)


class Workers:
    """Evaluates in `count` processes; with one, in this process."""

    def __init__(self, context: Context, count: int) -> None:
        self._resamples = Resamples(context)
        self._pool: ProcessPoolExecutor | None = None
        if count > 1:
            self._pool = ProcessPoolExecutor(
                count,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(context,),
            )

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def outcomes(self, decisions: Sequence[Decision], judge: Judge = as_it_is) -> Iterator[Outcome]:
        """The outcome of each decision, in order, as it becomes known."""
        if self._pool is None:
            for decision in decisions:
                yield judge(decision, self._resamples)
            return
        try:
            yield from self._pool.map(partial(_judge, judge), decisions)
        except BrokenProcessPool:
            raise BouteError(
                "a worker process was killed, perhaps for want of memory",
                where="--workers",
                mend="use fewer workers; a study goes on where it stopped",
            ) from None


def _start(context: Context) -> None:
    global _resamples  # noqa: PLW0603 - what an initializer leaves to its process
    _resamples = Resamples(context)
    # Ctrl-C is the parent's to handle: it shuts the pool down.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _judge(judge: Judge, decision: Decision) -> Outcome:
    assert _resamples is not None
    return judge(decision, _resamples)
