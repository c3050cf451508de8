from __future__ import annotations

import time

import pytest

from boute.optimizer.clock import MOST_WRITING_S, Clock
from boute.optimizer.placement.bound import SECONDS


def test_without_a_limit_nothing_ends() -> None:
    clock = Clock.of(5.0, 6.0, None, intervals=True)
    assert clock == Clock(None, None, None)
    assert clock.certifying_s() == SECONDS


@pytest.mark.parametrize("intervals", [True, False])
@pytest.mark.parametrize("limit_s", [0.1, 8.0, 600.0])
def test_the_parts_follow_each_other_within_the_limit(limit_s: float, intervals: bool) -> None:
    clock = Clock.of(1000.0, 1000.0, limit_s, intervals=intervals)
    assert clock.search_end_s is not None
    assert clock.drawing_end_s is not None
    assert 1000.0 + 0.4 * limit_s < clock.search_end_s <= clock.drawing_end_s
    assert (clock.search_end_s < clock.drawing_end_s) == intervals
    assert clock.end_s == 1000.0 + limit_s
    assert 0.0 < clock.end_s - clock.drawing_end_s <= MOST_WRITING_S


@pytest.mark.parametrize("prepared_s", [1007.0, 1100.0])
def test_a_long_preparation_leaves_some_time_to_the_search(prepared_s: float) -> None:
    clock = Clock.of(1000.0, prepared_s, 8.0, intervals=True)
    assert clock.search_end_s == clock.drawing_end_s == prepared_s + 1.0
    assert clock.end_s == 1008.0


def test_a_certificate_takes_what_is_left_but_never_nothing() -> None:
    now_s = time.monotonic()
    assert Clock(now_s, now_s, now_s + 600.0).certifying_s() == SECONDS
    assert 1.0 < Clock(now_s, now_s, now_s + 2.0).certifying_s() <= 2.0
    assert 0.0 < Clock(now_s, now_s, now_s - 9.0).certifying_s() < 1.0
