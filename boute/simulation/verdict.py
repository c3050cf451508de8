"""Whether a pool keeps up: stable, strained or unstable, from its load and its simulated run.

Time with a batch on the GPUs says little under continuous batching, where one request keeps an
engine as busy as fifty. Utilisation here is offered load over what the pool can carry, which the
caller measures; whether queues drain is seen in the run. Near saturation small errors of the steps
become large ones of the latencies, hence the margin; docs/fidelity.md has the curve.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Final

import numpy as np

from boute.outcome import Verdict
from boute.simulation.pool import PoolRun

__all__ = ["judge_pool", "pool_utilisation"]

# Steps that take 5% longer than predicted make the mean TTFT of ShareGPT requests 11% longer here,
# 72% longer at 0.85 and nine times as long at 0.9 (python -m benchmarks.real_runs).
STRAINED_UTILISATION: Final = 0.8
# Preemption recomputes a whole context; vLLM's guide to tuning treats any as a sign to act.
STRAINED_PREEMPTIONS: Final = 0.01
# Waiting to be scheduled normally lasts about one step, a few percent of a request.
STRAINED_QUEUE: Final = 0.25
# Requests that can never be held are lost; a pool that loses more than a few is no answer.
UNSTABLE_FAILED: Final = 0.01
# Offered r times its capacity, a pool leaves the share 1 - 1/r of its requests waiting at the end.
UNSTABLE_BACKLOG: Final = 0.05
# A smaller share counts only with a queue that grew throughout: one that grows linearly has 1.8
# times the wait in the last fifth of the run that it has in the middle one.
GROWING_BACKLOG: Final = 0.01
GROWTH_PARTS: Final = 5
GROWTH: Final = 1.5


def pool_utilisation(run: Sized, *, duration_s: float, capacity_per_s: float) -> float:
    """Requests of a run offered a second over requests that the pool can carry a second.

    Infinite for a pool that carries nothing and is offered something.
    """
    if len(run) == 0:
        return 0.0
    if duration_s <= 0 or capacity_per_s <= 0:
        return float("inf")
    return len(run) / duration_s / capacity_per_s


def judge_pool(run: PoolRun, *, duration_s: float, utilisation: float) -> Verdict:
    """Say whether a pool keeps up with a window of `duration_s`.

    Unstable: offered as much as it carries or more, or failing more than 1% of requests, or not
    draining, as `_drains` finds. Strained: above 80% utilisation, or preempting more than 1% of
    requests, or waiting for a quarter of the mean request, or failing any.
    """
    if len(run) == 0:
        return "stable"
    served = ~run.failed
    if run.failed.mean() > UNSTABLE_FAILED or not served.any():
        return "unstable"
    if utilisation >= 1.0 or not _drains(run, duration_s):
        return "unstable"
    e2e_s = (run.finish_s - run.arrival_s)[served]
    strained = (
        utilisation > STRAINED_UTILISATION
        or run.preemptions > STRAINED_PREEMPTIONS * len(run)
        or run.queue_s[served].mean() > STRAINED_QUEUE * e2e_s.mean()
        or run.failed.any()
    )
    return "strained" if strained else "stable"


def _drains(run: PoolRun, duration_s: float) -> bool:
    """Whether the run shows a queue that comes down again.

    It does not if a good share of the requests was waiting at the last arrival and their work went
    on past the window, for twice as long as any request takes to serve; or if a smaller share was
    and the wait had grown throughout.
    """
    served = ~run.failed
    queue_s = run.queue_s[served]
    service_s = (run.finish_s - run.arrival_s)[served] - queue_s
    late_s = run.end_s - max(duration_s, float(run.arrival_s[-1]))
    backlog = run.waiting_at_last_arrival / len(queue_s)
    if backlog > UNSTABLE_BACKLOG and late_s > 2.0 * service_s.max():
        return False
    if backlog <= GROWING_BACKLOG or late_s <= np.median(service_s) or len(queue_s) < GROWTH_PARTS:
        return True
    parts = np.array_split(queue_s, GROWTH_PARTS)
    return bool(parts[-1].mean() <= GROWTH * parts[GROWTH_PARTS // 2].mean())
