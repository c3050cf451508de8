from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import boute.resamples
from boute.context import Context, prepare
from boute.resamples import Resamples, resampled
from boute.spec.model import Spec


@pytest.fixture(scope="module")
def context(_no_cards_of_ones_own: None, small_spec: Callable[..., dict[str, Any]]) -> Context:
    return prepare(Spec.model_validate(small_spec()), Path())


def contents(context: Context) -> list[bytes]:
    workload = context.workload
    arrays = (workload.arrival_s, workload.input_tokens, workload.output_tokens, workload.score)
    return [array.tobytes() for array in (*arrays, context.quality, context.score)]


def test_a_number_is_one_resample_and_another_number_another(context: Context) -> None:
    assert contents(resampled(context, 3)) == contents(resampled(context, 3))
    assert contents(resampled(context, 3)) != contents(resampled(context, 4))
    assert contents(resampled(context, 3)) != contents(context)


def test_another_seed_of_the_workload_has_other_resamples(context: Context) -> None:
    workload = context.spec.workload.model_copy(update={"seed": 1})
    other = replace(context, spec=context.spec.model_copy(update={"workload": workload}))
    assert contents(resampled(context, 0)) != contents(resampled(other, 0))


def test_requests_ask_queries_of_the_table(context: Context) -> None:
    for number in range(5):
        found = resampled(context, number)
        assert np.array_equal(found.workload.score, context.score[found.workload.row])
        assert set(found.score) <= set(context.score)
        assert 0.3 < len(set(found.workload.row)) / len(found.workload) <= 1.0


def test_no_request_is_longer_than_plans_are_made_for(context: Context) -> None:
    for number in range(10):
        workload = resampled(context, number).workload
        assert workload.output_tokens.min() >= 1
        longest = (workload.input_tokens + workload.output_tokens.max(axis=1)).max()
        assert longest <= context.max_model_len


def test_what_is_not_kept_is_drawn_again(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Resamples(context)
    assert kept[2] is kept[2]
    monkeypatch.setattr(boute.resamples, "_KEPT_BYTES", 0)
    fresh = Resamples(context)
    assert fresh[2] is not fresh[2]
    assert contents(fresh[2]) == contents(kept[2])


def test_the_mean_load_is_that_of_the_trace(context: Context) -> None:
    counts = [len(resampled(context, number).workload) for number in range(60)]
    assert np.mean(counts) == pytest.approx(len(context.workload), rel=0.1)


def test_pools_and_replicas_are_drawn_anew(context: Context) -> None:
    assert resampled(context, 0).spec.workload.seed != context.spec.workload.seed
