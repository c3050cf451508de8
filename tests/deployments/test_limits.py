from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.deployments.limits import Admission, Refused
from boute.deployments.options import KeyLimits, Limits


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Bucket:
    """A token bucket as textbooks have it: a minute of requests, filling evenly."""

    def __init__(self, requests_per_minute: int, now_s: float) -> None:
        self.size = float(requests_per_minute)
        self.tokens = self.size
        self.at_s = now_s

    def take(self, now_s: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        filled = self.tokens + (now_s - self.at_s) * self.size / 60.0
        self.tokens, self.at_s = min(self.size, filled), now_s
        if self.tokens < 1.0 - 1e-9:
            return (1.0 - self.tokens) * 60.0 / self.size
        self.tokens -= 1.0
        return 0.0


def attempt(admission: Admission, key: str | None, limits: KeyLimits | None) -> Refused | None:
    """Enter, and return the refusal if there is one."""
    try:
        admission.enter(key, limits)
    except Refused as refused:
        return refused
    return None


def wait_of(admission: Admission, key: str | None, limits: KeyLimits | None) -> float:
    """Seconds to wait as it says, 0 when it lets in."""
    refused = attempt(admission, key, limits)
    if refused is None:
        admission.leave(key)
        return 0.0
    assert refused.status == 429
    return refused.retry_after_s


@given(
    rate=st.integers(1, 600),
    gaps_s=st.lists(st.floats(0.0, 90.0) | st.just(0.0), min_size=1, max_size=80),
)
def test_a_key_is_let_in_as_a_token_bucket_would(rate: int, gaps_s: list[float]) -> None:
    clock = Clock()
    admission = Admission(Limits(), clock=clock)
    bucket = Bucket(rate, clock.now_s)
    for gap_s in gaps_s:
        clock.now_s += gap_s
        expected_s = bucket.take(clock.now_s)
        found_s = wait_of(admission, "k", KeyLimits(requests_per_minute=rate))
        assert found_s == pytest.approx(expected_s, abs=1e-4)


@given(rate=st.integers(1, 100_000), extra=st.integers(1, 5), offset_s=st.floats(0.0, 1e9))
def test_who_waits_as_told_gets_in(rate: int, extra: int, offset_s: float) -> None:
    clock = Clock()
    clock.now_s = offset_s
    admission = Admission(Limits(max_concurrency=10**9), clock=clock)
    limits = KeyLimits(requests_per_minute=rate)
    admitted = 0
    while admitted < min(rate, 50) + extra:
        wait_s = wait_of(admission, "k", limits)
        clock.now_s += wait_s
        if wait_s:
            assert wait_of(admission, "k", limits) == 0.0
        admitted += 1


def test_a_minute_of_requests_at_once_and_then_one_at_a_time() -> None:
    clock = Clock()
    admission = Admission(Limits(), clock=clock)
    limits = KeyLimits(requests_per_minute=6)
    assert [wait_of(admission, "k", limits) for _ in range(7)] == [0.0] * 6 + [10.0]
    clock.now_s += 9.0
    assert wait_of(admission, "k", limits) == pytest.approx(1.0)
    clock.now_s += 1.0
    assert wait_of(admission, "k", limits) == 0.0
    assert wait_of(admission, "k", limits) == pytest.approx(10.0)
    assert wait_of(admission, "another", limits) == 0.0


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (1.0, "1"), (1.01, "2"), (59.5, "60")])
def test_retry_after_is_in_whole_seconds(seconds: float, header: str) -> None:
    assert Refused("key_rate", "", seconds).retry_after == header


@given(
    most=st.integers(1, 5),
    of_key=st.integers(1, 3) | st.none(),
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", None])), max_size=60),
)
def test_no_more_at_once_than_allowed_and_none_forgotten(
    most: int, of_key: int | None, steps: list[tuple[bool, str | None]]
) -> None:
    admission = Admission(Limits(max_concurrency=most))
    inside: list[str | None] = []
    for comes, key in steps:
        if not comes:
            if key in inside:
                inside.remove(key)
                admission.leave(key)
            continue
        full = len(inside) >= most
        key_full = key is not None and of_key is not None and inside.count(key) >= of_key
        limits = None if key is None else KeyLimits(max_concurrency=of_key)
        refused = attempt(admission, key, limits)
        assert (refused is not None) == (full or key_full)
        if refused is None:
            inside.append(key)
        else:
            assert refused.reason == ("concurrency" if full else "key_concurrency")
            assert refused.retry_after_s > 0
        assert admission.running == len(inside)


def test_what_is_refused_takes_no_token() -> None:
    clock = Clock()
    admission = Admission(Limits(), clock=clock)
    limits = KeyLimits(requests_per_minute=2, max_concurrency=1)
    admission.enter("k", limits)
    for _ in range(5):
        assert wait_of(admission, "k", limits) == 1.0
    admission.leave("k")
    assert wait_of(admission, "k", limits) == 0.0
    assert wait_of(admission, "k", limits) == pytest.approx(30.0)
