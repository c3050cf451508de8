"""A slot of less than a CPU core: vLLM's CPU worker, held to a fixed part of one.

The plan gives a replica a device that nobody else uses and whose speed does not change. A core of a
shared machine is neither: other processes take turns on it, and neighbours that nobody here can see
take its caches and its clock, so that the same step takes longer for seconds or minutes. So a slot
is a fixed amount of work a second: a step ends when it would have ended on that part of a standard
core, and disturbances are paid out of the pause, which is long when the part is small. Named
to vLLM as its `worker_cls`, and imported by vLLM alone.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any, Final

import torch
from vllm.v1.worker.cpu_worker import CPUWorker

__all__ = ["Slot", "SlotWorker"]

# Of what an engine does between two steps, this much is no pause of the device.
BETWEEN_STEPS_S: Final = 0.005
# A standard core does the work of `_reference_s` in this time, as one of an EPYC of 2024 does when
# it is not disturbed. Like the compute units of clouds it makes slots alike on different machines.
STANDARD_S: Final = 60e-6
# How fast the core is now is a mean over about ten steps.
SMOOTHING: Final = 0.1


class SlotWorker(CPUWorker):  # type: ignore[misc]  # vLLM need not be there when types are checked
    """A worker of one thread whose steps take what they would on `cores` of a core.

    `cores`, in (0, 1), is in vLLM's `additional_config`.
    """

    @cached_property
    def _slot(self) -> Slot:
        return Slot(self.vllm_config.additional_config["cores"])

    def execute_model(self, scheduler_output: Any) -> Any:
        """The forward pass of a step, which begins here."""
        self._slot.begin()
        return super().execute_model(scheduler_output)

    def sample_tokens(self, grammar_output: Any) -> Any:
        """The tokens of the step, when it is due to end."""
        output = super().sample_tokens(grammar_output)
        self._slot.end()
        return output


class Slot:
    """The clock of one slot: `begin` and `end` around each step, which `end` makes last."""

    def __init__(self, cores: float) -> None:
        self._cores = cores
        self._due_s = 0.0
        self._begun_s = 0.0
        self._begun_cpu_s = 0.0
        self._reference_s = _reference_s()

    def begin(self) -> None:
        """A step begins: where the last one ended, if the engine was not idle between."""
        now_s = time.perf_counter()
        self._begun_s = self._due_s if now_s - self._due_s < BETWEEN_STEPS_S else now_s
        self._begun_cpu_s = time.thread_time()

    def end(self) -> None:
        """Return when the step is due."""
        cpu_s = time.thread_time() - self._begun_cpu_s
        self._reference_s += SMOOTHING * (_reference_s() - self._reference_s)
        work_s = cpu_s * STANDARD_S / self._reference_s
        self._due_s = self._begun_s + work_s / self._cores
        time.sleep(max(0.0, self._due_s - time.perf_counter()))


_NUMBERS: Final = torch.ones(8)


def _reference_s() -> float:
    """Processor time of a piece of work of the kind that steps of small models consist of.

    That is calls of small operators: they get slower and faster with a step more exactly than loops
    of Python or products of matrices do.
    """
    begun_s = time.thread_time()
    total = _NUMBERS
    for _ in range(60):
        total = total + _NUMBERS
    return time.thread_time() - begun_s
