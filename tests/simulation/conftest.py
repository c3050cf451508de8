from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from boute.performance import step
from boute.performance.replica import Replica


def make_replica(
    *,
    stages: int = 1,
    kv_blocks: int = 4000,
    block_size: int = 16,
    max_num_seqs: int = 64,
    max_num_batched_tokens: int = 2048,
    async_scheduling: bool = False,
) -> Replica:
    """An 8B model on one large GPU, about; every cost that a step can have is above 0."""
    costs = np.zeros(step.N_COSTS)
    costs[step.FLOOR_S] = 2e-3
    costs[step.TOKEN_S] = 3e-5
    costs[step.WEIGHT_S] = 6e-3
    costs[step.LINEAR_TOKEN_S] = 1e-6
    costs[step.SEQUENCE_S] = 1.1e-5
    costs[step.PAIR_S] = 1.3e-9
    costs[step.CONTEXT_S] = 5.7e-8
    costs[step.MIXED_CONTEXT_S] = 3.1e-8
    costs[step.BUSY_W] = 300.0
    costs[step.PAIR_J] = 2e-7
    costs[step.CONTEXT_J] = 1e-5
    return Replica(
        costs=costs,
        stages=stages,
        kv_blocks=kv_blocks,
        block_size=block_size,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
        gpus=stages,
        idle_w=75.0,
        async_scheduling=async_scheduling,
    )


@pytest.fixture(scope="session")
def replica_of() -> Callable[..., Replica]:
    return make_replica


@pytest.fixture(scope="session")
def constant_replica() -> Replica:
    """One request at a time, and every step takes 10 ms."""
    costs = np.zeros(step.N_COSTS)
    costs[step.FLOOR_S] = 0.010
    return Replica(
        costs=costs,
        stages=1,
        kv_blocks=100,
        block_size=16,
        max_num_seqs=1,
        max_num_batched_tokens=512,
        gpus=1,
        idle_w=0.0,
    )
