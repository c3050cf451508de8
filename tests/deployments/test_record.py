from __future__ import annotations

from dataclasses import replace

import pytest

from boute.deployments.record import Discarded, RequestRecord


def test_the_first_token_is_not_in_the_time_of_the_others(record: RequestRecord) -> None:
    assert record.tpot_s == 0.5


@pytest.mark.parametrize(
    "changes", [{"ttft_s": None}, {"output_tokens": 1}, {"output_tokens": None}]
)
def test_one_token_or_none_has_no_time_between(
    record: RequestRecord, changes: dict[str, None]
) -> None:
    assert replace(record, **changes).tpot_s is None


@pytest.mark.parametrize(
    ("limits", "within"),
    [
        ({}, True),
        ({"ttft": 0.5, "tpot": 0.5, "e2e": 2.5}, True),
        ({"ttft": 0.4}, False),
        ({"tpot": 0.4}, False),
        ({"e2e": 2.4}, False),
    ],
)
def test_goodput_meets_every_limit(
    record: RequestRecord, limits: dict[str, float], within: bool
) -> None:
    assert record.within(limits) is within
    assert not replace(record, outcome="timeout").within(limits)


def test_what_is_not_seen_is_not_held_against_an_answer(record: RequestRecord) -> None:
    whole = replace(record, ttft_s=None, stream=False)
    assert whole.within({"ttft": 0.1, "tpot": 0.1, "e2e": 3.0})
    assert not whole.within({"e2e": 2.0})


def test_every_answer_is_paid(record: RequestRecord) -> None:
    assert record.paid_tokens == (10, 5)
    others = (Discarded("a", "a-l4", 10, 7, 0.2), Discarded("b", "b-l4", None, None, None))
    assert replace(record, discarded=others).paid_tokens == (20, 12)
    assert replace(record, discarded=others, input_tokens=None).paid_tokens == (10, 12)
