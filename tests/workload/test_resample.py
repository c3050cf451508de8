from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.workload.arrays import Trace
from boute.workload.resample import block_length_s, resample_trace

WHOLE_S = 100.0


def trace_of(arrivals: list[float], duration_s: float = WHOLE_S) -> Trace:
    """A trace whose requests can be told apart by their lengths."""
    at = np.sort(np.array(arrivals))
    numbers = np.arange(1, len(at) + 1)
    return Trace("made", at, numbers, 1000 + numbers, duration_s)


def plainly(trace: Trace, seed: int, near_s: float) -> list[tuple[float, int]]:
    """Arrival and number of every request of the resample, block by block, request by request."""
    rng = np.random.default_rng(seed)
    whole_s, block_s = trace.duration_s, block_length_s(trace.duration_s)
    reach_s = min(max(near_s, block_s), whole_s / 2)
    places = [k * block_s for k in range(math.ceil(whole_s / block_s - 1e-9))]
    while True:
        moves = rng.uniform(-reach_s, reach_s, -(-len(places) // 2))
        found = []
        for number_of_block, place in enumerate(places):
            middle = places[number_of_block - number_of_block % 2] + block_s / 2
            source = (middle + moves[number_of_block // 2]) % whole_s
            length = min(block_s, whole_s - place)
            for at, number in zip(trace.arrival_s, trace.input_tokens, strict=True):
                # On a circle a request also comes a whole duration later.
                found += [
                    (place + time - source, int(number))
                    for time in (at, at + whole_s)
                    if source <= time < source + length
                ]
        if found:
            return sorted(found)


arrivals = st.lists(st.floats(0.0, WHOLE_S - 0.01), min_size=1, max_size=60)


@given(arrivals, st.integers(0, 1000), st.sampled_from([1.0, 17.0, 1800.0]))
def test_it_is_what_blocks_put_in_place_one_by_one_make(
    at: list[float], seed: int, near_s: float
) -> None:
    trace = trace_of(at)
    found = resample_trace(trace, np.random.default_rng(seed), near_s=near_s)
    expected = plainly(trace, seed, near_s)
    assert len(found) == len(expected)
    assert np.allclose(found.arrival_s, [time for time, _ in expected], atol=1e-6)
    assert np.all(found.output_tokens == found.input_tokens + 1000)
    assert sorted(found.input_tokens) == sorted(number for _, number in expected)


@given(arrivals, st.integers(0, 1000))
def test_the_same_seed_gives_the_same_bytes(at: list[float], seed: int) -> None:
    one, other = (resample_trace(trace_of(at), np.random.default_rng(seed)) for _ in range(2))
    assert one.arrival_s.tobytes() == other.arrival_s.tobytes()
    assert one.input_tokens.tobytes() == other.input_tokens.tobytes()
    assert one.duration_s == WHOLE_S


def test_every_request_counts_alike() -> None:
    """Those at the ends too: the mean over many resamples is the trace."""
    trace = trace_of(list(np.linspace(0.0, 99.0, 50)))
    rng = np.random.default_rng(0)
    drawn = [resample_trace(trace, rng).input_tokens for _ in range(2000)]
    counts = np.bincount(np.concatenate(drawn), minlength=51)[1:] / len(drawn)
    assert counts.mean() == pytest.approx(1.0, abs=0.02)
    assert counts == pytest.approx(np.ones(50), abs=0.12)


def test_bursts_stay_bursts() -> None:
    """Gaps within a block are those of the trace; requests drawn one by one would have others."""
    rng = np.random.default_rng(3)
    bursts = (np.repeat(rng.uniform(0, 590, 60), 20) + rng.uniform(0, 0.5, 1200)).tolist()
    trace = trace_of(bursts, 600.0)
    seconds = np.arange(601)

    def dispersion(at: np.ndarray) -> float:
        counts = np.histogram(at, seconds)[0]
        return float(counts.var() / counts.mean())

    found = [dispersion(resample_trace(trace, rng).arrival_s) for _ in range(20)]
    assert np.median(found) == pytest.approx(dispersion(trace.arrival_s), rel=0.25)
    assert dispersion(rng.uniform(0, 600, 1200)) < 0.2 * dispersion(trace.arrival_s)


def test_a_day_keeps_its_profile() -> None:
    """Nothing in the morning, ten times as much in the afternoon as in the evening."""
    rng = np.random.default_rng(5)
    day_s = 86_400.0
    afternoon, evening = rng.uniform(43_200, 64_800, 3000), rng.uniform(64_800, day_s, 300)
    trace = trace_of([*afternoon, *evening], day_s)
    for _ in range(10):
        counts = np.histogram(resample_trace(trace, rng).arrival_s, np.linspace(0, day_s, 9))[0]
        assert counts[:3].sum() < 60  # what wraps around midnight, and half an hour before noon
        assert counts[4:6].sum() > 5 * counts[6:].sum()


def test_the_rate_varies_as_between_two_windows_of_the_traffic() -> None:
    """The counts of two Poisson windows of 900 differ with a variance of 1800."""
    rng = np.random.default_rng(7)
    trace = trace_of(list(rng.uniform(0, 600, 900)), 600.0)
    counts = [len(resample_trace(trace, rng)) for _ in range(400)]
    assert np.std(counts) == pytest.approx(math.sqrt(1800), rel=0.4)


def test_blocks_are_two_minutes_at_most() -> None:
    assert block_length_s(86_400.0) == 120.0
    assert block_length_s(60.0) == 6.0


def test_a_trace_without_duration_is_its_only_resample() -> None:
    trace = trace_of([0.0, 0.0], 0.0)
    assert resample_trace(trace, np.random.default_rng(0)) is trace
