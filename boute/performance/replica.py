"""What the simulator has to know of one replica: the cost of its steps and the room it has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Replica"]


@dataclass(frozen=True, eq=False)
class Replica:
    """One engine: a model on some GPUs with one parallelism, as numbers.

    `costs` is the flat record that `boute.performance.step` defines, for one pipeline stage; a
    batch passes `stages` of them. `kv_blocks` blocks of `block_size` tokens hold the KV cache.
    `idle_w` is what all `gpus` of the replica draw doing nothing. `latency_error` is the stated
    relative error of its times, `energy_error` that of what it draws. `request_s` is what a request
    pays once before its first token, whatever else runs: it was measured around the engine and is
    no part of the simulation. With `async_scheduling` an engine of one stage schedules a step while
    the one before it runs, as vLLM does on GPUs by default.
    """

    costs: NDArray[np.float64]
    stages: int
    kv_blocks: int
    block_size: int
    max_num_seqs: int
    max_num_batched_tokens: int
    gpus: int
    idle_w: float
    latency_error: float = 0.0
    energy_error: float = 0.0
    request_s: float = 0.0
    async_scheduling: bool = False
