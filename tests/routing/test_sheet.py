import csv
import gzip
import io
from pathlib import Path

import pandas as pd
import pytest

from boute.errors import DataError
from boute.routing.sheet import read_sheet


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", "a.csv: holds no rows"),
        ("a.csv", b"x,y\n", "a.csv: holds no rows"),
        ("a.csv", b"x,y\n1,2\n1\n", "a.csv:3: has 1 values, but the header names 2"),
        ("a.csv", b"x,y\n1,2\n\n1,2,3\n", "a.csv:4: has 3 values"),
        ("a.csv", b'x,y\n1,"2\n', "a.csv:2: is not valid CSV: unexpected end of data"),
        ("a.csv", b"x,x\n1,2\n", "a.csv:1: has two columns x"),
        ("a.csv", b"x\n1\n\xff\n", "a.csv:3: is not UTF-8"),
        ("a.csv.gz", gzip.compress(b"x\n1\n" * 99)[:-9], "is not a whole gzip file"),
        ("a.csv.gz", b"x\n1\n", "is not a whole gzip file"),
        ("a.jsonl", b'{"x": 1}\n{"x": \n', "a.jsonl:2: is not valid JSON"),
        ("a.jsonl", b"[1]\n", "a.jsonl:1: should be a JSON object"),
        ("a.jsonl", b"[" * 100_000, "a.jsonl:1: is not valid JSON"),
        ("a.parquet", b"PAR1 and no more", "is not a whole Parquet file"),
        ("a.xlsx", b"x", "has no known ending"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_sheet(tmp_path / name)
    assert message in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_sheet(tmp_path / "none.csv")


def test_truncated_parquet(tmp_path: Path) -> None:
    pd.DataFrame({"x": range(100)}).to_parquet(tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="is not a whole Parquet file"):
        read_sheet(tmp_path / "a.parquet")


def test_parquet_with_missing_values(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": pd.array([1, None, 3], dtype="Int64"), "b": [True, False, True]})
    frame.to_parquet(tmp_path / "a.parquet")
    sheet = read_sheet(tmp_path / "a.parquet")
    assert sheet.numbers("x", [0, 2]).tolist() == [1, 3]
    assert sheet.columns["x"][1] is None
    assert sheet.numbers("b", range(3)).tolist() == [1, 0, 1]


def test_a_text_longer_than_the_csv_module_allows(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = "word " * 50_000
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["x", "text"], ["1", text]])
    (tmp_path / "a.csv").write_text(buffer.getvalue())
    assert read_sheet(tmp_path / "a.csv").texts("text", [0]) == (text,)
    assert csv.field_size_limit() == before
