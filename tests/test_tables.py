"""Every format is read to the same columns, and a file that is not what it says is named."""

import csv
import gzip
import io
import json
import warnings
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boute.errors import DataError
from boute.tables import SUFFIXES, Table, read_table, table_file

HEAD = "a,b,c\n"
CSV = HEAD + "0,1,2\n3,4,5\n"


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder: Path, name: str, content: str | bytes) -> Table:
    return read_table(written(folder, name, content))


def problem(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_table(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert text.isprintable()
    return text.replace(str(path), "FILE")


def test_csv(tmp_path: Path) -> None:
    table = read(tmp_path, "t.csv", '\ufeff a,b , c\r\n1, "x, ""y""",\r\n\r\n \r\n007,nan,True\r\n')
    assert table.columns == {"a": ["1", "007"], "b": ['x, "y"', "nan"], "c": ["", "True"]}
    assert [table.place(row) for row in range(len(table))] == [
        f"{tmp_path}/t.csv:2",
        f"{tmp_path}/t.csv:5",
    ]


def test_json_lines(tmp_path: Path) -> None:
    text = '{"a": 1, "b": [2]}\n\n{"a": null, "c": "x\u2028y"}\r\n'
    table = read(tmp_path, "t.jsonl", text)
    assert table.columns == {"a": [1, None], "b": [[2], None], "c": [None, "x\u2028y"]}
    assert table.place(1) == f"{tmp_path}/t.jsonl:3"


def test_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": ["x", None], "c": [1.5, 2]})
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table.columns == {"a": [1, None], "b": ["x", None], "c": [1.5, 2.0]}
    assert table.place(1) == f"{tmp_path}/t.parquet: row 2"


@pytest.mark.parametrize("text", ["{}", "[1]", "[", "[" * 100_000, "[[]]"])
def test_json_that_is_no_array_of_objects(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"is not (an array of JSON objects|JSON)"):
        read(tmp_path, "t.json", text)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_holds_the_same(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"text": ["one\ntwo", 'a "word", and'], "number": [1, 2]})
    path = tmp_path / f"T{suffix.upper()}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        records = frame.to_dict("records")
        lines = "\n".join(json.dumps(row) for row in records)
        whole = {"csv": frame.to_csv(index=False), "json": json.dumps(records)}
        text = whole.get(suffix.split(".")[1], lines)
        path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    table = read_table(path)
    assert table.columns["text"] == ["one\ntwo", 'a "word", and']
    assert [str(number) for number in table.columns["number"]] == ["1", "2"]


cells = st.text(st.sampled_from('ab ",\n\r\u2028é'), max_size=8).map(str.lstrip)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells, st.just("end")), min_size=1, max_size=12),
    break_=st.sampled_from(["\n", "\r\n"]),
)
def test_the_lines_of_texts_that_span_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], break_: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=break_, quoting=csv.QUOTE_ALL)
    begins = []
    for row in [("a", "b", "c"), *rows]:
        before = text.getvalue().replace("\r\n", "\n").replace("\r", "\n")
        begins.append(before.count("\n") + 1)
        writer.writerow(row)
    table = read(tmp_path_factory.mktemp("lines"), "t.csv", text.getvalue())
    assert list(zip(*table.columns.values(), strict=True)) == rows
    assert list(table.lines) == begins[1:]


def test_a_text_longer_than_the_csv_module_allows(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = "word " * 50_000
    assert read(tmp_path, "t.csv", f'a,b\n1,"{text}"\n').columns["b"] == [text]
    assert csv.field_size_limit() == before
    with pytest.raises(DataError) as caught:
        read(tmp_path, "t.csv", "a,b\n1\n")
    # While the error is held, and with it the frames of the reader.
    assert csv.field_size_limit() == before, caught


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", b"", "FILE: is empty"),
        ("t.csv", b"\n \n", "FILE: is empty"),
        ("t.csv", HEAD, "FILE: holds no rows"),
        ("t.csv", b"PAR1\x15\x04PAR1", "FILE: holds Parquet, not text"),
        ("t.csv", gzip.compress(CSV.encode()), "FILE: holds gzip, not text"),
        ("t.csv", b'{"a": 0}\n', "FILE: holds JSON, not CSV"),
        ("t.csv", "arrivée,1\n".encode("latin-1"), "FILE:1: is not UTF-8 (byte 5 "),
        ("t.csv", b"x\n1\n\xff\n", "FILE:3: is not UTF-8"),
        ("t.csv", b"a,b\n\0\0\0\n", "FILE: holds zero bytes"),
        ("t.csv", HEAD + "0,1,1\n1,1\n", "FILE:3: has 2 values, but the header names 3"),
        ("t.csv", HEAD + "0,1,1\n\n1,1,1,9\n", "FILE:4: has 4 values, but the header names 3"),
        ("t.csv", HEAD + '0,"1\n2",1\n1,1\n', "FILE:4: has 2 values"),
        ("t.csv", HEAD + '0,1,1\n1,1,"1\n', "FILE:3: is not valid CSV: unexpected end of data"),
        ("t.csv", HEAD + '0,"1"2,1\n', "FILE:2: is not valid CSV"),
        ("t.csv", "\nx, x\n1,2\n", "FILE:2: has two columns x"),
        ("t.jsonl", b"", "FILE: is empty"),
        ("t.jsonl", "{}\n", "FILE: holds no rows"),
        ("t.jsonl", '{"x": 1}\nnope\n', "FILE:2: is not JSON"),
        ("t.jsonl", '{"x": 1}\n{"x": \n', "FILE:2: is not JSON"),
        ("t.jsonl", CSV, "FILE:1: is not JSON"),
        ("t.jsonl", "[" * 100_000, "FILE:1: is not JSON"),
        ("t.jsonl", "\n[1]\n", "FILE:2: is not a JSON object"),
        ("t.jsonl.gz", b"{}", "FILE: is not gzipped"),
        ("t.csv.gz", gzip.compress(CSV.encode())[:-12], "FILE: is not a whole gzip file"),
        ("t.csv.gz", b"\x1f\x8b\x08\x00garbage-after-the-header", "FILE: is not a whole gzip file"),
        ("t.csv.gz", gzip.compress(b""), "FILE: is empty"),
        ("t.parquet", b"", "FILE: is empty"),
        ("t.parquet", CSV, "FILE: is not a Parquet file"),
        ("t.parquet", b"PAR1\x15\x04\x15\x00PAR1", "FILE: is not a whole Parquet file"),
        ("t.xlsx", b"PK", "FILE: is of no known format"),
        ("t", CSV, "FILE: is of no known format"),
    ],
)
def test_a_file_that_is_not_what_it_says(
    tmp_path: Path, name: str, content: str | bytes, says: str
) -> None:
    path = written(tmp_path, name, content)
    with warnings.catch_warnings(record=True) as loose:
        warnings.simplefilter("always")
        assert problem(path).startswith(says)
    assert loose == []


@pytest.mark.parametrize("size", [100, 300, 900])
def test_a_truncated_parquet_file(tmp_path: Path, size: int) -> None:
    whole = tmp_path / "whole.parquet"
    pd.DataFrame({"a": range(200), "b": 1.5}).to_parquet(whole)
    path = written(tmp_path, "t.parquet", whole.read_bytes()[:size])
    assert problem(path).startswith("FILE: is not a whole Parquet file")


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    folder = tmp_path / "t.csv"
    folder.mkdir()
    assert "cannot be read: is a directory" in problem(folder)
    assert "cannot be read: no such file" in problem(tmp_path / "absent.csv")


def test_the_reader_says_what_a_row_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no requests"):
        read_table(written(tmp_path, "t.csv", HEAD), rows="requests")


def test_a_name_is_a_file_or_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "coding"
    presets = ["chat", "coding"]
    assert table_file("coding", path, presets) is None
    path.mkdir()
    assert table_file("coding", path, presets) is None
    path.rmdir()
    path.write_text("a file comes first")
    assert table_file("coding", path, presets) == path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("codng", "there is no such file: NEITHER; did you mean coding?"),
        ("x" * 300, "there is no such file: NEITHER; known presets: chat, coding"),
        ("folder", "is a folder: NEITHER; known presets: chat, coding"),
    ],
)
def test_a_name_that_is_neither(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError) as caught:
        table_file(name, tmp_path / name, ["chat", "coding"])
    says = says.replace("NEITHER", "neither a file nor a preset has this name")
    assert str(caught.value) == f"{tmp_path / name}: {says}"
