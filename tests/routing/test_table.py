import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boute.errors import DataError, SpecError
from boute.routing.table import load_quality_table
from boute.spec.family import ModelChoice
from boute.spec.quality import Quality

MODELS = [ModelChoice(name="small"), ModelChoice(name="big")]


def rows(count: int = 24) -> list[dict[str, object]]:
    return [
        {
            "id": i,
            "question": f"question {i},\nin two lines",
            "small": i % 2,
            "big": 1,
            "small_output_tokens": 100 + i,
            "big_output_tokens": 200 + i,
        }
        for i in range(count)
    ]


def write_csv(path: Path, data: list[dict[str, object]]) -> Path:
    pd.DataFrame(data).to_csv(path, index=False)
    return path


def load(folder: Path, **options: object):
    quality = Quality.model_validate({"table": "q.csv", **options})
    return load_quality_table(quality, MODELS, folder)


def refusal(folder: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load(folder, **options)
    return str(caught.value)


def test_csv_with_default_columns(tmp_path: Path) -> None:
    write_csv(tmp_path / "q.csv", rows())
    table = load(tmp_path)
    assert table.models == ("small", "big")
    assert table.quality[:4].tolist() == [[0, 1], [1, 1], [0, 1], [1, 1]]
    assert table.output_tokens[1].tolist() == [101, 201]
    assert table.text is not None
    assert table.text[3] == "question 3,\nin two lines"
    assert (table.score, table.features, table.dropped, table.lengths_known) == (
        None,
        None,
        0,
        True,
    )


@pytest.mark.parametrize("name", ["q.csv.gz", "q.jsonl", "q.jsonl.gz", "q.parquet"])
def test_formats_agree(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame(rows())
    if name.endswith("parquet"):
        frame.to_parquet(tmp_path / name)
    elif "csv" in name:
        frame.to_csv(tmp_path / name, index=False)
    else:
        text = "\n\n".join(json.dumps(row) for row in rows())
        data = text.encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    write_csv(tmp_path / "q.csv", rows())
    assert load(tmp_path, table=name).hash() == load(tmp_path).hash()


def test_its_hash_is_of_all_that_a_router_is_fitted_on(tmp_path: Path) -> None:
    write_csv(tmp_path / "q.csv", rows())
    table = load(tmp_path)
    others = [
        replace(table, quality=1.0 - table.quality),
        replace(table, output_tokens=table.output_tokens + 1.0),
        replace(table, task=("a",) * len(table)),
        replace(table, text=tuple(reversed(table.text or ()))),
        replace(table, models=tuple(reversed(table.models))),
    ]
    assert len({table.hash(), *(other.hash() for other in others)}) == 1 + len(others)


def test_mapped_and_prefixed_columns(tmp_path: Path) -> None:
    data = [
        {"p": "a b c", "A": "True", "quality_big": 0.5, "output_tokens_big": 8, "a_len": 0}
        for _ in range(20)
    ]
    write_csv(tmp_path / "q.csv", data)
    table = load(tmp_path, query="p", quality={"small": "A"}, output_tokens={"small": "a_len"})
    assert table.quality[0].tolist() == [1.0, 0.5]
    assert table.output_tokens[0].tolist() == [1.0, 8.0]


def test_rows_without_a_quality_are_dropped_and_counted(tmp_path: Path) -> None:
    data = rows(25)
    data[3]["big"] = None
    data[3]["big_output_tokens"] = None
    write_csv(tmp_path / "q.csv", data)
    table = load(tmp_path)
    assert (len(table), table.dropped) == (24, 1)
    assert table.output_tokens[3, 0] == 104


def test_without_lengths_they_are_one_constant(tmp_path: Path) -> None:
    frame = pd.DataFrame(rows()).drop(columns=["small_output_tokens", "big_output_tokens"])
    frame.to_csv(tmp_path / "q.csv", index=False)
    table = load(tmp_path)
    assert not table.lengths_known
    assert np.unique(table.output_tokens).size == 1
    assert "has no columns of output lengths" in refusal(tmp_path, output_length="table")


def test_joined_files_in_characters(tmp_path: Path) -> None:
    write_csv(tmp_path / "q.csv", [{"id": i, "S": i % 2, "big": 1} for i in range(20)])
    write_csv(tmp_path / "len.csv", [{"id": i, "S": 40 + i, "big": 8} for i in reversed(range(30))])
    write_csv(tmp_path / "text.csv", [{"id": i, "prompt": f"p {i}"} for i in range(20)])
    table = load(
        tmp_path,
        quality={"small": "S"},
        lengths="len.csv",
        texts="text.csv",
        key=["id"],
        output_unit="chars",
    )
    assert table.output_tokens[4].tolist() == [11.0, 2.0]
    assert table.text is not None
    assert table.text[4] == "p 4"


def test_score_and_features(tmp_path: Path) -> None:
    write_csv(tmp_path / "q.csv", [row | {"hard": i, "f": -i} for i, row in enumerate(rows())])
    assert load(tmp_path, score="hard").score is not None
    table = load(tmp_path, features=["f", "hard"])
    assert table.features is not None
    assert table.features[2].tolist() == [-2, 2]
    assert table.feature_names == ("f", "hard")


def test_a_column_named_score_is_used_when_there_is_no_text(tmp_path: Path) -> None:
    frame = pd.DataFrame(rows()).rename(columns={"question": "other"})
    frame["score"] = np.arange(len(frame)) / 100
    frame.to_csv(tmp_path / "q.csv", index=False)
    assert load(tmp_path).score is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"big": 1.5}, "q.csv:12: big: quality should be in [0, 1] (it is 1.5)"),
        ({"big": -0.1}, "q.csv:12: big: quality should be in [0, 1] (it is -0.1)"),
        ({"big": "good"}, "q.csv:12: big: should be a number (it is 'good')"),
        ({"big_output_tokens": None}, "q.csv:12: big_output_tokens: should be a finite number"),
        ({"big_output_tokens": -3}, "q.csv:12: big_output_tokens: a length should not be negative"),
        ({"question": " "}, "q.csv:12: question: has no text"),
    ],
)
def test_bad_value_names_line_and_column(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    data = rows()
    data[5] |= change  # The header is line 1 and each text spans two lines.
    write_csv(tmp_path / "q.csv", data)
    assert message in refusal(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": {"big": "bigg"}}, "has no column bigg (quality of big); did you mean big"),
        ({"quality": {"huge": "big"}}, "quality.quality: huge is not a model of the spec"),
        ({"output_tokens": {"big": "x"}}, "has no column x (output tokens of big)"),
        ({"query": "quest"}, "has no column quest (the query's text); did you mean question?"),
        ({"score": "s"}, "has no column s (quality.score)"),
        ({"features": ["ids"]}, "has no column ids (quality.features); did you mean id?"),
        ({"lengths": "q.csv"}, "quality.key: a second file needs the columns that join it"),
        ({"lengths": "q.csv", "key": ["Id"]}, "has no column Id (quality.key); did you mean id?"),
        ({"lengths": "none.csv", "key": ["id"]}, "none.csv: cannot be read"),
        (
            {"table": "lama-3.1"},
            "neither a file nor a preset has this name; did you mean llama-3.1?",
        ),
        ({"table": "."}, "is a folder: neither a file nor a preset"),
        ({"table": "q.txt"}, "is of no known format"),
    ],
)
def test_bad_option_names_the_nearest(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    write_csv(tmp_path / "q.csv", rows())
    (tmp_path / "q.txt").write_text("a")
    assert message in refusal(tmp_path, **options)


def test_a_file_comes_before_a_preset_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "llama-3.1").write_text("a")
    assert "llama-3.1: is of no known format" in refusal(tmp_path, table="llama-3.1")


def test_lengths_for_some_models_only(tmp_path: Path) -> None:
    pd.DataFrame(rows()).drop(columns="small_output_tokens").to_csv(tmp_path / "q.csv", index=False)
    assert "has no column small_output_tokens" in refusal(tmp_path)


def test_nothing_to_score_by(tmp_path: Path) -> None:
    pd.DataFrame(rows()).drop(columns="question").to_csv(tmp_path / "q.csv", index=False)
    assert "has no column of text, features or a score" in refusal(tmp_path)


def test_too_few_rows_and_all_dropped(tmp_path: Path) -> None:
    write_csv(tmp_path / "q.csv", rows(19))
    assert "has 19 rows with a quality for every model" in refusal(tmp_path)
    write_csv(tmp_path / "q.csv", [row | {"big": None} for row in rows()])
    assert "has 0 rows with a quality for every model (small 24, big 0)" in refusal(tmp_path)


def test_joins_that_do_not_match(tmp_path: Path) -> None:
    write_csv(tmp_path / "q.csv", rows())
    write_csv(tmp_path / "len.csv", [*rows(), rows()[3]])
    options = {"lengths": "len.csv", "key": ["id"]}
    assert "len.csv:50: id: 3 is also on line 8" in refusal(tmp_path, **options)
    write_csv(tmp_path / "len.csv", rows(23))
    assert "q.csv:48: id: 23 is not in" in refusal(tmp_path, **options)


def sure(values: list[object]) -> list[dict[str, object]]:
    return [row | {"sure": value} for row, value in zip(rows(), values, strict=True)]


def test_confidence_is_read_where_a_cascade_asks_for_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "q.csv", sure([i / 24 for i in range(24)]))
    assert load(tmp_path).confidence is None
    found = load(tmp_path, policy="cascade", confidence={"small": "sure"})
    assert found.confidence is not None
    assert found.confidence[:, 0].tolist() == [i / 24 for i in range(24)]
    assert np.isnan(found.confidence[:, 1]).all()
    picked = found.take([3, 5]).confidence
    assert picked is not None
    assert picked[:, 0].tolist() == [3 / 24, 5 / 24]
    assert found.hash() == load(tmp_path).hash()


@pytest.mark.parametrize("table", ["q.csv", "llama-3.1"])
@pytest.mark.parametrize("confidence", [{}, {"big": "sure"}])
def test_a_cascade_without_confidence_is_refused(
    tmp_path: Path, table: str, confidence: dict[str, str]
) -> None:
    write_csv(tmp_path / "q.csv", sure([0.5] * 24))
    with pytest.raises(SpecError, match="confidence of small") as caught:
        load(tmp_path, table=table, policy="cascade", confidence=confidence)
    assert caught.value.where == "quality.confidence"
    assert "policy" in caught.value.mend


@pytest.mark.parametrize(
    ("value", "problem"),
    [(1.2, r"in \[0, 1\]"), (-0.1, r"in \[0, 1\]"), (None, "finite number"), ("x", "number")],
)
def test_confidence_that_is_none_is_refused_with_its_line(
    tmp_path: Path, value: object, problem: str
) -> None:
    values: list[object] = [0.5] * 24
    values[2] = value
    write_csv(tmp_path / "q.csv", sure(values))
    with pytest.raises(DataError, match=problem) as caught:
        load(tmp_path, policy="cascade", confidence={"small": "sure"})
    assert "sure" in str(caught.value)


def test_confidence_of_a_stranger_or_in_no_column_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "q.csv", sure([0.5] * 24))
    said = refusal(tmp_path, policy="cascade", confidence={"small": "sure", "tiny": "sure"})
    assert "tiny is not a model" in said
    assert "no column shure" in refusal(tmp_path, policy="cascade", confidence={"small": "shure"})
