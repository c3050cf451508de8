"""The clock of a slot: a step ends when it is due, and the next begins there."""

from __future__ import annotations

import time

import pytest

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]


def work(seconds: float) -> float:
    """Keep this thread's core busy; the processor time that it took."""
    begun_s = time.thread_time()
    while time.thread_time() - begun_s < seconds:
        pass
    return time.thread_time() - begun_s


def step(slot, cpu_s: float) -> tuple[float, float]:
    """When a step of so much work began and was due."""
    slot.begin()
    work(cpu_s)
    slot.end()
    return slot._begun_s, slot._due_s


def test_a_step_is_not_over_before_it_is_due():
    from boute.deployments.engines.slot import STANDARD_S, Slot

    slot = Slot(0.1)
    begun_s, due_s = step(slot, 0.004)
    assert time.perf_counter() >= due_s
    # The work is counted as a standard core would do it.
    assert (due_s - begun_s) * 0.1 >= 0.004 * STANDARD_S / slot._reference_s


def test_half_the_slot_takes_twice_the_time():
    from boute.deployments.engines.slot import Slot

    lasted_s = []
    for cores in (0.2, 0.1):
        slot = Slot(cores)
        begun_s, due_s = step(slot, 0.004)
        lasted_s.append((due_s - begun_s) * slot._reference_s)  # as the core is now
    assert lasted_s[1] / lasted_s[0] == pytest.approx(2.0, rel=0.2)


def test_steps_follow_each_other_and_idle_time_is_not_made_up_for():
    from boute.deployments.engines.slot import BETWEEN_STEPS_S, Slot

    slot = Slot(0.5)
    _, first_due_s = step(slot, 0.001)
    slot.begin()
    assert slot._begun_s >= first_due_s
    work(0.001)
    slot.end()
    idle_since_s = slot._due_s
    time.sleep(2 * BETWEEN_STEPS_S)
    slot.begin()
    assert slot._begun_s >= idle_since_s + BETWEEN_STEPS_S
