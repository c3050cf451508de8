"""Every format is read to the same trace, and every kind of bad file is one line that names it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.errors import DataError
from boute.workload.readers import MAX_TOKENS, read_trace

AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 18:15:46.6805900,374,44\r\n"
    "2023-11-16 18:15:50.9951690,396,109\r\n"
    "2023-11-16 18:15:51.2224670,879,55\r\n"
)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return path


def problem(path: Path, **columns: str) -> str:
    with pytest.raises(DataError) as caught:
        read_trace(path, columns)  # type: ignore[arg-type]
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text.replace(str(path), "FILE")


def test_azure_keeps_a_tenth_of_a_microsecond(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "azure.csv", AZURE))
    np.testing.assert_allclose(trace.arrival_s, [0.0, 4.3145790, 4.5418770], rtol=0, atol=1e-9)
    assert trace.input_tokens.tolist() == [374, 396, 879]
    assert trace.output_tokens.tolist() == [44, 109, 55]
    assert trace.duration_s == trace.arrival_s[-1]
    assert trace.name == "azure.csv"


def test_times_with_and_without_fractions_and_zones(tmp_path: Path) -> None:
    text = (
        "timestamp,prompt_tokens,completion_tokens\n"
        "2024-05-10T00:00:00Z,1,2\n2024-05-10 02:00:01.5+02:00,3,4\n2024-05-10 00:00:02,5,6\n"
    )
    assert read_trace(written(tmp_path, "t.csv", text)).arrival_s.tolist() == [0.0, 1.5, 2.0]


def test_mooncake_counts_milliseconds(tmp_path: Path) -> None:
    rows = [
        {"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]},
        {"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46]},
    ]
    path = written(tmp_path, "mooncake.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n")
    trace = read_trace(path)
    np.testing.assert_allclose(trace.arrival_s, [0.0, 3.053])
    assert trace.input_tokens.tolist() == [6955, 6472]
    assert trace.output_tokens.tolist() == [52, 26]


@pytest.mark.parametrize(
    ("arrival", "inputs", "outputs", "factor"),
    [
        ("arrival_s", "input_tokens", "output_tokens", 1.0),
        ("arrival_ms", "prompt_tokens", "completion_tokens", 1e-3),
        ("Timestamp", "Request tokens", "Response tokens", 1.0),
        ("arrived_at", "num_prefill_tokens", "num_decode_tokens", 1.0),
        ("time_us", "prompt_len", "output_len", 1e-6),
    ],
)
def test_columns_are_recognised(
    tmp_path: Path, arrival: str, inputs: str, outputs: str, factor: float
) -> None:
    text = f"model,{arrival},{inputs},{outputs}\nm,5,1,2\nm,8,3,4\n"
    trace = read_trace(written(tmp_path, "t.csv", text))
    np.testing.assert_allclose(trace.arrival_s, [0.0, 3.0 * factor])
    assert trace.input_tokens.tolist() == [1, 3]
    assert trace.output_tokens.tolist() == [2, 4]


def test_the_more_telling_name_wins(tmp_path: Path) -> None:
    text = "time,arrival_s,input_tokens,output_tokens\n7,1,1,1\n3,4,1,1\n"
    assert read_trace(written(tmp_path, "t.csv", text)).arrival_s.tolist() == [0.0, 3.0]


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "t_ms,in,out\n0,1,2\n1500,3,4\n")
    trace = read_trace(path, {"arrival": "t_ms", "input_tokens": "in", "output_tokens": "out"})
    np.testing.assert_allclose(trace.arrival_s, [0.0, 1.5])
    assert trace.output_tokens.tolist() == [2, 4]


@pytest.mark.parametrize("kind", ["text", "datetime", "timedelta", "nullable"])
def test_parquet_types(tmp_path: Path, kind: str) -> None:
    seconds = pd.Series([0.0, 0.25, 2.0])
    arrival = {
        "text": (pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s")).astype(str),
        "datetime": pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s"),
        "timedelta": pd.to_timedelta(seconds, unit="s"),
        "nullable": seconds.astype("Float64"),
    }[kind]
    tokens = pd.Series([5, 6, 7], dtype="Int64")
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"arrival": arrival, "input_tokens": tokens, "output_tokens": tokens})
    frame.to_parquet(path)
    trace = read_trace(path)
    np.testing.assert_allclose(trace.arrival_s, seconds)
    assert trace.input_tokens.tolist() == [5, 6, 7]


requests = st.lists(
    st.tuples(
        st.floats(0, 100, allow_nan=False),
        st.integers(1, MAX_TOKENS),
        st.integers(1, MAX_TOKENS),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=25, deadline=None)
@given(requests=requests, kind=st.sampled_from(["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"]))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    requests: list[tuple[float, int, int]],
    kind: str,
) -> None:
    gaps, inputs, outputs = zip(*[(0.0, 1, 1), *requests, (1.0, 2, 2)], strict=True)
    arrival_s = np.cumsum(gaps)
    frame = pd.DataFrame({"arrival_s": arrival_s, "input_tokens": inputs, "output_tokens": outputs})
    path = tmp_path_factory.mktemp("round") / f"trace.{kind}"
    if kind.startswith("csv"):
        frame.to_csv(path, index=False)
    elif kind.startswith("jsonl"):
        frame.to_json(path, orient="records", lines=True, double_precision=15)
    else:
        frame.to_parquet(path)
    trace = read_trace(path)
    np.testing.assert_allclose(trace.arrival_s, arrival_s, rtol=1e-12, atol=1e-12)
    assert trace.input_tokens.tolist() == list(inputs)
    assert trace.output_tokens.tolist() == list(outputs)


HEAD = "arrival_s,input_tokens,output_tokens\n"


@pytest.mark.parametrize(
    ("rows", "line", "says"),
    [
        ("0,1,1\n5,1,1\n3,1,1\n", 4, "arrival_s is earlier than the line before (it is 3)"),
        ("0,1,1\n\n5,1,1\n3,1,1\n", 5, "arrival_s is earlier"),
        ("0,1,1\nnan,1,1\n", 3, "arrival_s should be a time, ISO 8601 or a number (it is missing"),
        ("0,1,1\n,1,1\n", 3, "arrival_s should be a time"),
        ("0,1,1\ninf,1,1\n", 3, "arrival_s should be a time"),
        ("0,1,1\nsoon,1,1\n", 3, "arrival_s should be a time, ISO 8601 or a number (it is soon)"),
        ("1e12,1,1\n1.1e12,1,1\n", 2, "arrival_s is too late for seconds"),
        ("2024-01-01 00:00:00,1,1\nnoon,1,1\n", 3, "arrival_s should be a time"),
        ("0,-4,1\n1,1,1\n", 2, "input_tokens should be at least 1 (it is -4)"),
        ("0,1,1\n1,1,0\n", 3, "output_tokens should be at least 1 (it is 0); a request without"),
        ("0,1,1\n1,1,1.5\n", 3, "output_tokens should be a whole number of tokens (it is 1.5)"),
        ("0,1,1\n1,many,1\n", 3, "input_tokens should be a whole number of tokens (it is many)"),
        ("0,1,1\n1,,1\n", 3, "input_tokens should be a whole number of tokens (it is missing"),
        ("0,1,1\n1,inf,1\n", 3, "input_tokens should be a whole number"),
        ("0,1,1\n1,1,1e30\n", 3, "output_tokens should be at most"),
        ("0,1,1\n1,true,1\n", 3, "input_tokens should be a whole number"),
    ],
)
def test_a_bad_value_names_line_and_column(tmp_path: Path, rows: str, line: int, says: str) -> None:
    assert problem(written(tmp_path, "t.csv", HEAD + rows)).startswith(f"FILE:{line}: {says}")


def test_the_line_is_right_past_quoted_line_breaks(tmp_path: Path) -> None:
    text = 'prompt,arrival_s,input_tokens,output_tokens\n"a\nb",0,1,1\n"c",1,0,1\n'
    assert problem(written(tmp_path, "t.csv", text)).startswith("FILE:4: input_tokens")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '{"arrival_s": 0, "input_tokens": 1, "output_tokens": 1}\n\n'
            '{"arrival_s": 1, "input_tokens": [2], "output_tokens": 1}\n',
            "FILE:3: input_tokens should be a whole number",
        ),
        (
            '{"arrival_s": 0, "input_tokens": 1, "output_tokens": 1}\n'
            '{"arrival_s": NaN, "input_tokens": 2, "output_tokens": 1}\n',
            "FILE:2: arrival_s should be a time",
        ),
        (
            '{"arrival_s": 0, "input_tokens": 1, "output_tokens": 1}\n'
            '{"arrival_s": 1, "input_tokens": 2}\n',
            "FILE:2: output_tokens should be a whole number",
        ),
        (
            '{"arrival_s": 0, "input_tokens": true, "output_tokens": 1}\n'
            '{"arrival_s": 1, "input_tokens": true, "output_tokens": 1}\n',
            "FILE:1: input_tokens should be a whole number",
        ),
        (
            '{"arrival_s": 0, "input_tokens": 1, "output_tokens": 1}\n'
            f'{{"arrival_s": 1, "input_tokens": {10**400}, "output_tokens": 1}}\n',
            "FILE:2: input_tokens should be a whole number",
        ),
        ("{}\n", "FILE: holds no requests"),
    ],
)
def test_bad_json_lines(tmp_path: Path, text: str, says: str) -> None:
    assert problem(written(tmp_path, "t.jsonl", text)).startswith(says)


def test_an_empty_parquet_table(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"arrival_s": [], "input_tokens": [], "output_tokens": []}).to_parquet(path)
    assert problem(path).startswith("FILE: holds no requests")


def test_parquet_errors_name_the_row(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"arrival_s": [0.0, 1.0], "input_tokens": [1, 0], "output_tokens": 1})
    frame.to_parquet(path)
    assert problem(path).startswith("FILE: row 2: input_tokens should be at least 1")


def test_a_missing_column_says_what_was_looked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "arrival_s,tokens_in,output_tokens\n0,1,1\n")
    text = problem(path)
    assert "no column for input_tokens: looked for input_tokens, prompt_tokens" in text
    assert "among arrival_s, tokens_in, output_tokens" in text
    assert "set workload.columns.input_tokens" in text


def test_a_named_column_that_is_not_there(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", HEAD + "0,1,1\n1,1,1\n")
    text = problem(path, arrival="when")
    assert "no column 'when' (workload.columns.arrival)" in text
    assert "arrival_s, input_tokens, output_tokens" in text


@pytest.mark.parametrize("rows", ["0,1,1\n", "5,1,1\n5,2,2\n"])
def test_a_trace_without_a_rate(tmp_path: Path, rows: str) -> None:
    assert "there is no rate" in problem(written(tmp_path, "t.csv", HEAD + rows))


def test_equal_arrivals_keep_their_order(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "t.csv", HEAD + "0,1,1\n2,5,1\n2,4,1\n2,3,1\n"))
    assert trace.input_tokens.tolist() == [1, 5, 4, 3]


@pytest.mark.parametrize(("kind", "count"), [("conv", 19366), ("code", 8819)])
def test_the_real_traces(azure_folder: Path, kind: str, count: int) -> None:
    trace = read_trace(azure_folder / f"AzureLLMInferenceTrace_{kind}.csv")
    frame = pd.read_csv(azure_folder / f"AzureLLMInferenceTrace_{kind}.csv")
    assert len(trace) == count
    assert trace.input_tokens.sum() == frame.ContextTokens.sum()
    assert trace.output_tokens.sum() == frame.GeneratedTokens.sum()
    assert trace.duration_s == pytest.approx({"conv": 3501.721937, "code": 3435.948056}[kind])
