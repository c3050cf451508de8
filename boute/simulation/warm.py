"""`python -m boute.simulation.warm`: compile the kernels now, so that the first plan need not wait.

Compiled code is kept beside the sources, or in numba's cache folder where those are read-only.
"""

from __future__ import annotations

import numpy as np

from boute.performance.replica import Replica
from boute.performance.step import N_COSTS
from boute.simulation.pool import simulate_pool

__all__ = ["warm"]


def warm() -> None:
    """Run one request through each kind of engine."""
    for stages in (1, 2):
        replica = Replica(
            costs=np.full(N_COSTS, 1e-6),
            stages=stages,
            kv_blocks=8,
            block_size=16,
            max_num_seqs=4,
            max_num_batched_tokens=32,
            gpus=stages,
            idle_w=1.0,
        )
        one = np.ones(1, dtype=np.int64)
        simulate_pool(replica, 1, np.zeros(1), one, 2 * one, seed=0)


if __name__ == "__main__":
    warm()
