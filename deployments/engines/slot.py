"""A slot of less than a CPU core: vLLM's CPU worker, held to its share of one.

The plan gives a replica a device that nobody else uses. On a machine with few cores that is true
only of a part of a core, so a step lasts as long as it would on such a part: its own processor time
divided by the share. What other processes take meanwhile is paid out of the pause, and steps stay
as measured until the machine has nothing left to give. Named to vLLM as its `worker_cls`, and
imported by vLLM alone.
"""

from __future__ import annotations

import time
from typing import Any

from vllm.v1.worker.cpu_worker import CPUWorker

__all__ = ["SlotWorker"]


class SlotWorker(CPUWorker):  # type: ignore[misc]  # vLLM need not be there when types are checked
    """A worker of one thread whose steps last `1 / cores` times their processor time.

    `cores`, in (0, 1), is in vLLM's `additional_config`.
    """

    def execute_model(self, scheduler_output: Any) -> Any:
        """The forward pass of a step, which begins here."""
        self._begun = time.perf_counter(), time.thread_time()
        return super().execute_model(scheduler_output)

    def sample_tokens(self, grammar_output: Any) -> Any:
        """The tokens of the step, when it is due to end."""
        output = super().sample_tokens(grammar_output)
        started_s, started_cpu_s = self._begun
        share = self.vllm_config.additional_config["cores"]
        due_s = started_s + (time.thread_time() - started_cpu_s) / share
        time.sleep(max(0.0, due_s - time.perf_counter()))
        return output
