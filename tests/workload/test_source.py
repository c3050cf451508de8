"""Windows, limits and rates: what is cut is exactly what was asked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.errors import DataError
from boute.spec.workload import WorkloadSource
from boute.workload.arrays import Trace
from boute.workload.source import compress, cut, load_trace

GENERATOR = {
    "rate_per_s": 3.0,
    "duration_s": 300.0,
    "input_tokens": {"median": 100},
    "output_tokens": {"median": 10},
}


def ten_requests() -> Trace:
    tokens = np.arange(1, 11)
    return Trace("ten", np.arange(10.0), tokens, tokens * 2, 9.0)


def ten_in_a_file(folder: Path) -> Path:
    path = folder / "ten.csv"
    rows = [f"{100 + i},{i + 1},{2 * (i + 1)}" for i in range(10)]
    path.write_text("\n".join(["arrival_s,input_tokens,output_tokens", *rows]))
    return path


def source(**fields: object) -> WorkloadSource:
    return WorkloadSource.model_validate({"trace": "ten.csv"} | fields)


def test_a_file_starts_its_clock_at_the_first_request(tmp_path: Path) -> None:
    ten_in_a_file(tmp_path)
    trace = load_trace(source(), tmp_path, seed=0)
    np.testing.assert_array_equal(trace.arrival_s, np.arange(10.0))
    assert trace.duration_s == 9.0


def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = ten_in_a_file(tmp_path)
    assert len(load_trace(source(trace=str(path)), Path("/nowhere"), seed=0)) == 10


def test_columns_reach_the_reader(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("at,in,out\n0,1,2\n1,3,4\n")
    columns = {"arrival": "at", "input_tokens": "in", "output_tokens": "out"}
    trace = load_trace(source(trace="odd.csv", columns=columns), tmp_path, seed=0)
    assert trace.input_tokens.tolist() == [1, 3]


def test_a_window_of_a_file_is_cut_before_its_rate_is_scaled(tmp_path: Path) -> None:
    ten_in_a_file(tmp_path)
    trace = load_trace(source(start_s=2.0, duration_s=4.0, rate_scale=4.0), tmp_path, seed=0)
    np.testing.assert_array_equal(trace.arrival_s, np.array([0.0, 1.0, 2.0, 3.0]) / 4)
    assert trace.input_tokens.tolist() == [3, 4, 5, 6]
    assert trace.duration_s == 1.0


def test_a_window_past_the_end_stops_with_the_trace() -> None:
    window = cut(ten_requests(), source(start_s=7.0, duration_s=100.0))
    assert window.arrival_s.tolist() == [0.0, 1.0, 2.0]
    assert window.duration_s == 2.0


def test_a_limit_ends_where_the_next_request_comes() -> None:
    window = cut(ten_requests(), source(start_s=2.0, max_requests=3))
    assert window.input_tokens.tolist() == [3, 4, 5]
    assert window.duration_s == 3.0
    assert window.rate_per_s == 1.0


def test_a_limit_above_the_count_changes_nothing() -> None:
    window = cut(ten_requests(), source(max_requests=10))
    assert len(window) == 10
    assert window.duration_s == 9.0


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"start_s": 9.0}, "workload.start_s: 9 is past the end of ten, which lasts 9 s"),
        ({"start_s": 2.5, "duration_s": 0.25}, "no request of ten arrives from 2.5 to 2.75 s"),
    ],
)
def test_an_empty_window_is_an_error(fields: dict[str, float], says: str) -> None:
    with pytest.raises(DataError) as caught:
        cut(ten_requests(), source(**fields))
    assert says in str(caught.value)


@given(
    gaps=st.lists(st.floats(0, 10), min_size=2, max_size=40),
    start=st.floats(0, 1),
    length=st.floats(0.01, 1.5),
    limit=st.integers(1, 50),
)
def test_windows_hold_what_lies_in_them(
    gaps: list[float], start: float, length: float, limit: int
) -> None:
    at = np.cumsum(gaps)
    duration = float(at[-1]) + 1.0
    ids = np.arange(1, len(at) + 1)
    trace = Trace("any", at, ids, ids, duration)
    start_s, length_s = start * duration * 0.99, length * duration
    inside = (at >= start_s) & ((at < start_s + length_s) | (start_s + length_s >= duration))
    asked = source(start_s=start_s, duration_s=length_s, max_requests=limit)
    if not inside.any():
        with pytest.raises(DataError):
            cut(trace, asked)
        return
    if inside.sum() > limit and at[inside][limit] == start_s:
        with pytest.raises(DataError, match="come at once"):
            cut(trace, asked)
        return
    window = cut(trace, asked)
    assert window.input_tokens.tolist() == ids[inside][:limit].tolist()
    np.testing.assert_array_equal(window.arrival_s, at[inside][:limit] - start_s)
    assert window.duration_s <= length_s * (1 + 1e-9) + 1e-9


@given(scale=st.floats(1e-3, 1e3), gaps=st.lists(st.floats(0.001, 10), min_size=1, max_size=30))
def test_compression_keeps_requests_and_multiplies_the_rate(
    scale: float, gaps: list[float]
) -> None:
    at = np.cumsum(gaps)
    ids = np.arange(1, len(at) + 1)
    trace = Trace("any", at, ids, ids[::-1].copy(), float(at[-1]))
    fast = compress(trace, scale)
    np.testing.assert_array_equal(fast.input_tokens, ids)
    np.testing.assert_array_equal(fast.output_tokens, ids[::-1])
    np.testing.assert_allclose(fast.arrival_s * scale, at, rtol=1e-12)
    assert fast.rate_per_s == pytest.approx(scale * trace.rate_per_s)


@pytest.mark.parametrize("fields", [{"generator": GENERATOR}, {"trace": "azure-conversation"}])
def test_processes_are_scaled_and_keep_their_duration(fields: dict[str, object]) -> None:
    one = load_trace(WorkloadSource.model_validate(fields), Path(), seed=4)
    four = load_trace(WorkloadSource.model_validate(fields | {"rate_scale": 4.0}), Path(), seed=4)
    again = load_trace(WorkloadSource.model_validate(fields), Path(), seed=4)
    other = load_trace(WorkloadSource.model_validate(fields), Path(), seed=5)
    assert four.duration_s == one.duration_s
    assert four.rate_per_s == pytest.approx(4 * one.rate_per_s, rel=0.15)
    assert one.arrival_s.tobytes() == again.arrival_s.tobytes()
    assert one.arrival_s.tobytes() != other.arrival_s.tobytes()


def test_processes_are_cut_in_their_own_time() -> None:
    asked = WorkloadSource(trace="azure-code", rate_scale=2.0, start_s=600.0, duration_s=900.0)
    trace = load_trace(asked, Path(), seed=0)
    assert trace.duration_s == 900.0
    assert trace.arrival_s[-1] <= 900.0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("azure-conversations", "did you mean azure-conversation?"),
        ("azure_code", "did you mean azure-code?"),
        ("x" * 300, "presets: azure-code"),
        ("monday.csv", "presets: azure-code, azure-conversation"),
    ],
)
def test_a_missing_file_may_be_a_mistyped_preset(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        load_trace(source(trace=name), tmp_path, seed=0)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert says in str(caught.value)


def test_a_file_comes_before_a_preset_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "azure-code").mkdir()
    assert load_trace(source(trace="azure-code"), tmp_path, seed=0).name == "azure-code"
    (tmp_path / "azure-code").rmdir()
    ten_in_a_file(tmp_path).rename(tmp_path / "azure-code")
    with pytest.raises(DataError, match="azure-code: is of no known format"):
        load_trace(source(trace="azure-code"), tmp_path, seed=0)


@pytest.mark.parametrize("scale", [1e-300, 1e7])
def test_a_scale_beyond_reason_is_refused(scale: float) -> None:
    with pytest.raises(DataError, match=r"workload\.rate_scale: should be from"):
        load_trace(source(rate_scale=scale), Path(), seed=0)


@pytest.mark.parametrize("fields", [{"generator": GENERATOR}, {"trace": "azure-code"}])
def test_columns_without_a_file_are_refused(fields: dict[str, object]) -> None:
    asked = WorkloadSource.model_validate(fields | {"columns": {"arrival": "t"}})
    with pytest.raises(DataError, match=r"workload\.columns: are for files"):
        load_trace(asked, Path(), seed=0)


def test_requests_that_all_come_at_once_have_no_rate() -> None:
    ids = np.arange(1, 5)
    trace = Trace("burst", np.array([0.0, 0.0, 0.0, 5.0]), ids, ids, 5.0)
    with pytest.raises(DataError, match=r"workload\.max_requests: the first 2 requests of burst"):
        cut(trace, source(max_requests=2))
    assert cut(trace, source(max_requests=3)).duration_s == 5.0
