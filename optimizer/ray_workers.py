"""Evaluating decisions as tasks on a Ray cluster that is there already.

The context is put once into the cluster's store, a task takes one CPU, and results come in the
order of the decisions. A task whose node is lost runs again on another. Nothing here starts or
scales a cluster, and Ray is imported only when a search asks for it.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final

import boute
from boute.context import Context
from boute.errors import BouteError, InputError, ServingError
from boute.optimizer.robustness import Judge, as_it_is
from boute.outcome import Outcome
from boute.plan.decision import Decision
from boute.resamples import Resamples

__all__ = ["RayWorkers"]

# Lost nodes that one evaluation survives.
_RETRIES: Final = 5

# Where a head node listens for ray:// unless it is told otherwise.
_CLIENT_PORT: Final = 10001

# Seconds within which the address of a cluster has to answer.
_PATIENCE_S: Final = 5.0

_WHERE: Final = "--workers"


class RayWorkers:
    """Evaluates on the cluster at `address`: `ray`, `host:port` or `ray://host:port`.

    `ray` is the cluster that RAY_ADDRESS names, or the one that runs on this machine. A connection
    that this process has already is used and left open. Raises InputError where Ray is not
    installed, ServingError where no cluster answers.
    """

    def __init__(self, context: Context, address: str) -> None:
        try:
            import ray
        except ImportError:
            raise InputError(
                "Ray is not installed", where=_WHERE, mend="pip install 'ray[default]'"
            ) from None
        self._ray: Any = ray
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            _connect(ray, address)
        self._running: list[Any] = []
        self._context = ray.put(context)
        self._task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_evaluate)

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._running:
            self._ray.cancel(task, force=True)
        if self._is_ours:
            self._ray.shutdown()

    def outcomes(self, decisions: Sequence[Decision], judge: Judge = as_it_is) -> Iterator[Outcome]:
        """The outcome of each decision, in order, as it becomes known."""
        name = self._context.hex()
        self._running = [
            self._task.remote(self._context, name, decision, judge, boute.__version__)
            for decision in decisions
        ]
        while self._running:
            try:
                outcome = self._ray.get(self._running[0])
            except self._ray.exceptions.RayTaskError as error:
                raise _cause_of(error) from None
            except self._ray.exceptions.RayError as error:
                raise ServingError(
                    f"an evaluation was lost on the cluster: {type(error).__name__}",
                    where=_WHERE,
                    mend="see that its nodes are up; a study goes on where it stopped",
                ) from None
            del self._running[0]
            yield outcome


def _connect(ray: Any, address: str) -> None:
    if address == "ray":
        address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ServingError(
            f"no Ray cluster can be reached: {reason[0]}",
            where=_WHERE,
            mend="start one with ray start --head, or set RAY_ADDRESS",
        ) from None


def _knock(address: str) -> None:
    """Raise OSError where nothing listens at `host:port`: Ray would try for minutes."""
    if address.startswith("ray://"):
        address = address.removeprefix("ray://")
        address = address if ":" in address else f"{address}:{_CLIENT_PORT}"
    host, colon, port = address.rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()


def _cause_of(error: Any) -> BouteError:
    """What a task raised: an error of ours as it was, another in one line."""
    cause = error.cause
    if isinstance(cause, BouteError):
        return cause
    return ServingError(
        f"a node of the cluster fails: {type(cause).__name__}: {cause}",
        where=_WHERE,
        mend=f"install boute {boute.__version__} and what it needs on every node",
    )


_resamples: dict[str, Resamples] = {}  # of this node's process, by the name of the context


def _evaluate(
    context: Context, name: str, decision: Decision, judge: Judge, version: str
) -> Outcome:
    """Runs on a node, whose boute may be another one."""
    if boute.__version__ != version:
        raise ServingError(
            f"a node of the cluster has boute {boute.__version__}",
            where=_WHERE,
            mend=f"install {version} there, as here",
        )
    if name not in _resamples:
        _resamples.clear()
        _resamples[name] = Resamples(context)
    return judge(decision, _resamples[name])
