from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.search.bars import first_at_each_clock, medians, near_enumeration, volume_at

CURVE = [(1, 0.5, 0.0), (3, 2.0, 0.2), (10, 9.0, 0.4), (50, 40.0, 0.4)]


def record(*curve: tuple[int, float, float]) -> dict[str, Any]:
    return {"curve": [list(step) for step in curve]}


@pytest.mark.parametrize(
    ("seconds", "evaluations", "volume"),
    [(0.1, math.inf, 0.0), (2.0, math.inf, 0.2), (math.inf, 9, 0.2), (math.inf, 10, 0.4)],
)
def test_a_curve_is_read_off_at_a_clock_and_at_a_count(
    seconds: float, evaluations: float, volume: float
) -> None:
    assert volume_at(CURVE, seconds, evaluations) == volume


def test_a_search_without_a_plan_has_no_volume() -> None:
    assert volume_at([]) == 0.0


def test_near_enumeration_is_judged_on_the_worst_seed() -> None:
    exact = record((1000, 60.0, 0.5))
    good, late = record((40, 9.0, 0.498)), record((40, 9.0, 0.49), (60, 21.0, 0.5))
    assert near_enumeration("a", exact, [good, good], 64, 20.0).met
    bar = near_enumeration("a", exact, [good, good, late], 64, 20.0)
    assert not bar.met
    assert bar.figure == "median 0.9960, worst 0.9800"
    assert bar.note == "2 of 3 seeds"
    assert bar.line().startswith("MISSED a, 64 evaluations and 20 s of mobo: median 0.9960")


def test_the_first_at_a_clock_is_by_the_median_over_seeds() -> None:
    own = [record((5, 8.0, volume)) for volume in (0.1, 0.3, 0.9)]
    early = [record((5, 1.0, 0.2), (90, 20.0, 0.35))]
    searches = {"mobo": own, "nsga2": early, "sobol": [record((5, 1.0, 0.1))]}
    at_10, at_30 = first_at_each_clock("a", searches, [10.0, 30.0])
    assert at_10.met
    assert at_10.asked == "more than nsga2's 0.2000"
    assert at_10.note == "+50.0%"
    assert not at_30.met
    assert at_30.line() == "MISSED a at 30 s: mobo 0.3000, asked more than nsga2's 0.3500 (-14.3%)"


def test_a_tie_is_not_first() -> None:
    same = [record((1, 1.0, 0.2))]
    assert not first_at_each_clock("a", {"mobo": same, "sobol": same}, [10.0])[0].met


def test_medians_are_told_a_row_a_sampler() -> None:
    fast, slow = record((1, 1.0, 0.3)), record((1, 20.0, 0.5))
    told = medians({"a": {"mobo": [fast, fast, slow], "sobol": [slow]}}, [10.0, 30.0])
    assert told.splitlines() == [
        "| sampler | a, 10 / 30 s |",
        "| --- | --- |",
        "| mobo | 0.300 / 0.300 |",
        "| sobol | 0.000 / 0.500 |",
    ]
