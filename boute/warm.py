"""`python -m boute.warm`: compile every kernel now, so that the first plan need not wait for it.

Compiled code is kept beside the sources, or in numba's own folder where those are read-only.
"""

from __future__ import annotations

import numpy as np

from boute.optimizer.partition import undominated_boxes
from boute.performance.closed_loop import Load, closed_loop
from boute.performance.replica import Replica
from boute.performance.steady import Lengths, capacity, latency_at
from boute.performance.step import N_COSTS
from boute.simulation.pool import simulate_pool

__all__ = ["warm"]


def warm() -> None:
    """Call each kernel once, with the types that it is called with in earnest."""
    for stages in (1, 2):
        replica = _replica(stages)
        one = np.ones(1, dtype=np.int64)
        simulate_pool(replica, 1, np.zeros(1), one, 2 * one, seed=0)
    lengths = Lengths(input_tokens=16.0, output_tokens=16.0)
    latency_at(replica, 0.5 * capacity(replica, lengths), lengths)
    closed_loop(replica, Load(16, 16, 1))
    undominated_boxes(np.array([[0.5, 0.5, 0.5]]), np.zeros(3))


def _replica(stages: int) -> Replica:
    return Replica(
        costs=np.full(N_COSTS, 1e-6),
        stages=stages,
        kv_blocks=8,
        block_size=16,
        max_num_seqs=4,
        max_num_batched_tokens=32,
        gpus=stages,
        idle_w=1.0,
    )


if __name__ == "__main__":
    warm()
