from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.bench.record import Record, meets, read_records, write_records
from boute.errors import DataError
from boute.workload.readers import read_trace

GOOD = Record(0.5, 0.6, 0.1, 0.2, 1.2, 10, 6, "small", "pool", 200, "", 1.0, (0.1, 0.2))
FAILED = Record(1.5, 1.5, 0.0, None, 0.1, 10, 0, "", "", 429, "HTTP 429: too many: wait")

seconds = st.floats(0, 1e6)


def test_tpot_is_of_the_tokens_after_the_first() -> None:
    assert GOOD.tpot_s == pytest.approx(0.2)
    assert replace(GOOD, output_tokens=1).tpot_s is None
    assert replace(GOOD, ttft_s=None).tpot_s is None


def test_a_failed_request_meets_no_limit() -> None:
    assert FAILED.reason == "HTTP 429"
    assert not meets(FAILED, {})
    assert meets(GOOD, {})
    assert meets(GOOD, {"ttft": 0.2, "tpot": 0.21, "e2e": 1.2})
    assert not meets(GOOD, {"ttft": 0.19})
    assert not meets(GOOD, {"e2e": 1.1})
    assert meets(replace(GOOD, output_tokens=1), {"tpot": 0.001})


@given(
    st.lists(
        st.builds(
            Record,
            arrival_s=seconds,
            sent_s=seconds,
            client_lag_s=seconds,
            ttft_s=st.none() | seconds,
            e2e_s=seconds,
            input_tokens=st.integers(0, 10**6),
            output_tokens=st.integers(0, 10**6),
            model=st.text(max_size=9),
            pool=st.text(max_size=9),
            status=st.none() | st.integers(200, 599),
            error=st.text(max_size=9),
            quality=st.none() | st.floats(0, 1),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_rows_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_records(records, path)
    assert read_records(path) == records


def test_rows_are_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_records([GOOD, replace(GOOD, arrival_s=2.5)], path)
    trace = read_trace(path)
    assert trace.arrival_s.tolist() == [0.0, 2.0]
    assert trace.output_tokens.tolist() == [6, 6]


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"arrival_s": "soon"}\n')
    with pytest.raises(DataError, match=r"rows.jsonl:1: is no row of boute bench: arrival_s"):
        read_records(path)
