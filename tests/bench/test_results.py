from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.bench.compare import compare
from boute.bench.record import Record, meets
from boute.bench.results import Measured, detailed_results, results
from boute.outcome import Latency, Outcome, PoolOutcome

FLAT = Latency(mean=1, p50=1, p90=1, p95=1, p99=1)
GOOD = Record(0.0, 0.0, 0.001, 0.5, 2.0, 10, 4, "small", "p", 200, "", 1.0, (0.5, 0.5, 0.5))
FAILED = Record(1.0, 1.0, 0.002, None, 0.1, 10, 0, "", "", 429, "HTTP 429: too many")


@st.composite
def many(draw: st.DrawFn) -> list[Record]:
    def one(sent: float, e2e: float, failed: bool) -> Record:
        error = "timeout: late" if failed else ""
        return replace(GOOD, sent_s=sent, e2e_s=e2e, ttft_s=e2e / 2, error=error)

    time = st.floats(0, 50)
    return draw(st.lists(st.builds(one, time, time, st.booleans()), min_size=1, max_size=20))


def outcome() -> Outcome:
    pools = [
        PoolOutcome(
            pool=f"{model}-pool",
            model=model,
            gpu="l4",
            requests=count,
            utilisation=0.5,
            kv_peak=0.5,
            preemptions=0,
            ttft=FLAT,
            tpot=FLAT,
            e2e=FLAT,
            energy_j=1.0,
            verdict="stable",
        )
        for model, count in (("small", 3), ("large", 1))
    ]
    return Outcome(
        requests=4,
        failed=0,
        duration_s=4.0,
        quality=0.8,
        quality_low=0.7,
        quality_high=0.9,
        ttft=FLAT,
        tpot=FLAT,
        e2e=FLAT,
        queue=FLAT,
        goodput_per_s=1.0,
        slo_attainment=1.0,
        utilisation=0.5,
        preemptions=0,
        cost_per_hour=3.6,
        cost_per_million_tokens=100.0,
        energy_j_per_token=1.0,
        latency_error=0.1,
        verdict="stable",
        pools=pools,
    )


def test_failures_count_against_the_limits_and_not_in_latencies() -> None:
    found = results(Measured([GOOD, FAILED], 4.0, {"ttft": 0.6}))
    assert (found["completed"], found["failed"]) == (1, 1)
    assert found["failures"] == {"HTTP 429": 1}
    assert found["slo_attainment"] == 0.5
    assert found["request_goodput"] == 0.25
    assert found["request_throughput"] == 0.25
    assert found["output_throughput"] == 1.0
    assert found["total_token_throughput"] == 14 / 4
    assert found["mean_ttft_ms"] == found["p99_ttft_ms"] == 500.0
    assert found["median_tpot_ms"] == found["median_itl_ms"] == 500.0
    assert found["p95_e2el_ms"] == 2000.0
    assert found["max_concurrent_requests"] == 2
    assert found["quality"]["mean"] == 1.0
    assert found["model_shares"] == {"small": 1.0}


def test_what_was_not_measured_is_null() -> None:
    whole = replace(GOOD, ttft_s=None, itl_s=(), quality=None)
    found = results(Measured([whole], 4.0, {}))
    names = ("mean_ttft_ms", "p99_tpot_ms", "std_itl_ms", "request_goodput", "quality")
    assert {found[name] for name in names} == {None}
    assert found["mean_e2el_ms"] == 2000.0


def test_the_names_are_those_of_vllm() -> None:
    """From `benchmark` and `process_one_metric` of vllm/benchmarks/serve.py, 0.29.0."""
    found = results(Measured([GOOD], 4.0, {})) | detailed_results(Measured([GOOD], 4.0, {}))
    plain = (
        "duration completed failed total_input_tokens total_output_tokens request_throughput "
        "request_goodput output_throughput total_token_throughput input_lens output_lens ttfts "
        "itls start_times errors max_output_tokens_per_s max_concurrent_requests"
    )
    statistics = [
        f"{s}_{m}_ms"
        for s in ("mean", "median", "std", "p50", "p90", "p95", "p99")
        for m in ("ttft", "tpot", "itl", "e2el")
    ]
    assert {*plain.split(), *statistics} <= found.keys()


def test_lists_have_an_entry_a_request() -> None:
    found = detailed_results(Measured([GOOD, FAILED], 4.0, {}))
    assert found["errors"] == ["", "HTTP 429: too many"]
    assert found["output_lens"] == [4, 0]
    assert found["ttfts"] == [0.5, 0.0]
    assert found["itls"] == [[0.5, 0.5, 0.5], []]


@given(many(), st.floats(0, 50))
def test_peaks_and_goodput_are_those_of_a_plain_count(records: list[Record], limit: float) -> None:
    measured = Measured(records, 10.0, {"e2e": limit})
    spans = [(record.sent_s, record.sent_s + record.e2e_s) for record in records]
    # The most are under way just after some start; one that ends there makes place.
    peak = max(sum(a <= at < b for a, b in spans) for at, _ in spans)
    found = results(measured) if measured.answered else None
    assert measured.duration_s == max(10.0, *(b for _, b in spans))
    assert measured.goodput_per_s * measured.duration_s == pytest.approx(
        sum(meets(record, measured.limits) for record in records)
    )
    if found is not None and all(a < b for a, b in spans):
        assert found["max_concurrent_requests"] == peak


def test_tokens_are_counted_in_their_seconds() -> None:
    assert results(Measured([GOOD], 4.0, {}))["max_output_tokens_per_s"] == 2.0


def test_a_prediction_is_held_against_what_came() -> None:
    records = [
        GOOD,
        replace(GOOD, model="large", quality=0.0),
        replace(GOOD, model="large"),
        FAILED,
    ]
    rows = {row.metric: row for row in compare(outcome(), Measured(records, 4.0, {"e2e": 9.0}))}
    assert rows["quality"].error == pytest.approx(0.8 - 2 / 3)
    assert rows["ttft_p95_s"].error == pytest.approx(1.0)
    assert rows["e2e_p50_s"].error == pytest.approx(-0.5)
    # $3.60 an hour at $100 a million tokens are 10 tokens a second.
    assert rows["output_tokens_per_s"].predicted == pytest.approx(10.0)
    assert rows["output_tokens_per_s"].measured == pytest.approx(3.0)
    assert rows["slo_attainment"].error == pytest.approx(0.25)
    assert rows["share small"].error == pytest.approx(0.75 - 1 / 3)
    assert rows["share large"].measured == pytest.approx(2 / 3)


def test_only_what_was_measured_is_compared() -> None:
    whole = replace(GOOD, ttft_s=None, itl_s=(), quality=None)
    metrics = {row.metric for row in compare(outcome(), Measured([whole], 4.0, {}))}
    assert metrics == {
        "e2e_p50_s",
        "e2e_p95_s",
        "output_tokens_per_s",
        "share small",
        "share large",
    }


def test_percentiles_are_numpy_s_as_in_the_evaluator() -> None:
    records = [replace(GOOD, e2e_s=1.0 + i, sent_s=0.0) for i in range(7)]
    found = results(Measured(records, 1.0, {}))
    assert found["p95_e2el_ms"] == pytest.approx(np.percentile(np.arange(1.0, 8.0), 95) * 1e3)
