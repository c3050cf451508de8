"""Tables as RouteLLM, RouterBench, LLMRouter and ZeroEval lay them out, and bad tables."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boute.errors import DataError
from boute.routing.layouts import Choices, read_training_table

ROWS = 24
SHARED = Path(__file__).parents[2].parent / "shared/data"


def write_csv(path: Path, columns: dict[str, list[object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def texts() -> list[object]:
    return [f"Question {row}?" for row in range(ROWS)]


def test_routellm(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "gsm8k_responses.csv",
        {
            "prompt": texts(),
            "mistralai/Mixtral-8x7B": ["False", "True"] * 12,
            "gpt-4": ["True"] * ROWS,
            "mistralai/Mixtral-8x7B_response": ["a" * 80] * ROWS,
            "gpt-4_response": ["a" * 40] * ROWS,
        },
    )
    read = read_training_table(path)
    assert (read.layout, read.ordered_by) == ("routellm", "quality")
    assert read.table.models == ("mistralai/Mixtral-8x7B", "gpt-4")
    assert read.table.quality.mean(axis=0).tolist() == [0.5, 1.0]
    assert read.table.output_tokens.mean(axis=0).tolist() == [20.0, 10.0]


def test_routerbench_with_prompts_of_several_turns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "sample_id": range(ROWS),
            "prompt": ['["first turn", "second"]', *texts()[1:]],
            "eval_name": ["mmlu-law", "grade-school-math"] * 12,
            "dear": [1.0, 0.5] * 12,
            "cheap": [1.0, 0.8] * 12,
            "dear|model_response": ["a" * 400] * ROWS,
            "cheap|model_response": ["a" * 800] * ROWS,
            "dear|total_cost": [0.02] * ROWS,
            "cheap|total_cost": [0.01] * ROWS,
            "oracle_model_to_route_to": ["cheap"] * ROWS,
        }
    )
    frame.to_parquet(tmp_path / "routerbench.parquet")
    read = read_training_table(tmp_path / "routerbench.parquet")
    assert (read.layout, read.ordered_by) == ("routerbench", "cost")
    assert read.table.models == ("cheap", "dear")
    assert read.table.output_tokens[0].tolist() == [200.0, 100.0]
    assert read.table.text is not None
    assert read.table.text[0] == "first turn\nsecond"
    assert set(read.table.task or ()) == {"mmlu-law", "grade-school-math"}


def test_llmrouter(tmp_path: Path) -> None:
    rows = [
        {"question": text, "scores": {"b": 1.0, "a": row % 2}, "cluster_id": 0}
        for row, text in enumerate(texts())
    ]
    (tmp_path / "train.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    read = read_training_table(tmp_path / "train.json.gz")
    assert read.layout == "llmrouter"
    assert read.table.models == ("a", "b")
    assert not read.table.lengths_known
    (tmp_path / "odd.json").write_text(json.dumps([*rows, {"question": "?", "scores": "x"}]))
    with pytest.raises(DataError, match="row 25: scores: should be an object of scores by model"):
        read_training_table(tmp_path / "odd.json")


def test_zeroeval_with_its_files_beside(tmp_path: Path) -> None:
    keys: dict[str, list[object]] = {"task": ["gsm", "crux"] * 12, "id": list(range(ROWS))}
    small: list[object] = ["", *["0", "1"] * 11, "0"]
    path = write_csv(tmp_path / "correct.csv", keys | {"small": small, "big": ["1"] * ROWS})
    write_csv(tmp_path / "questions.csv", keys | {"question": texts(), "answer": [1] * ROWS})
    chars: list[object] = [400, "", *[400] * 22]
    write_csv(tmp_path / "out_chars.csv", keys | {"small": chars, "big": [200] * ROWS})
    read = read_training_table(path, models=["small", "big"])
    assert (read.layout, read.table.dropped) == ("zeroeval", 1)
    assert read.table.text is not None
    assert read.table.text[0] == "Question 1?"
    assert read.table.output_tokens.tolist() == [[100.0, 50.0]] * 23
    (tmp_path / "questions.csv").unlink()
    with pytest.raises(DataError, match="has no column of text"):
        read_training_table(path)


def test_our_own_and_what_columns_may_be_called(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "what": texts(),
        "kind": ["a"] * ROWS,
        "s": [0.25, 0.75] * 12,
        "big": [0.9] * ROWS,
        "small_output_tokens": [7] * ROWS,
        "output_tokens_big": [9] * ROWS,
    }
    path = write_csv(tmp_path / "own.csv", columns)
    choices = Choices(quality={"small": "s"}, query="what", task="kind")
    read = read_training_table(path, models=["small", "big"], choices=choices)
    assert (read.layout, read.ordered_by) == ("boute", "given")
    assert read.table.output_tokens.mean(axis=0).tolist() == [7.0, 9.0]
    assert read.table.lengths_known
    with pytest.raises(DataError, match="has no column of text"):
        read_training_table(path)
    with pytest.raises(DataError, match="has no column tiny or quality_tiny"):
        read_training_table(path, models=["tiny"])


def test_tables_that_cannot_be_fitted(tmp_path: Path) -> None:
    def fails(message: str, **columns: list[object]) -> None:
        path = write_csv(tmp_path / "bad.csv", columns)
        with pytest.raises(DataError, match=message):
            read_training_table(path)

    fails("has no column of quality", query=texts())
    fails("has no column of text", a=[0.5] * ROWS, b=[0.5] * ROWS)
    fails("has 10 rows with a quality for every model", query=texts()[:10], a=[1] * 10)
    fails("fewest: b, 4", query=texts(), a=[1] * ROWS, b=[1] * 4 + [""] * 20)
    fails(r"bad.csv:52: a: quality should be in \[0, 1\]", query=texts() * 3, a=[1] * 50 + [7] * 22)
    fails(
        "has 300 columns of quality; at most 256",
        query=texts(),
        **{f"m{number}": [1] * ROWS for number in range(300)},
    )
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b"query,a\n" + b"\xff\xfe,1\n" * 30)
    with pytest.raises(DataError, match=r"broken\.csv:2: is not UTF-8"):
        read_training_table(broken)


def test_empty_queries_are_queries(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", {"query": ["", *texts()[1:]], "a": [1] * ROWS})
    assert (read_training_table(path).table.text or ("x",))[0] == ""


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published tables are not there")
@pytest.mark.parametrize(
    ("file", "layout", "rows", "models"),
    [
        ("routellm/mmlu_all.csv.gz", "routellm", 14_042, 2),
        ("llmrouter/dcrouter_train.json.gz", "llmrouter", 5608, 9),
        ("zeroeval/correct.csv.gz", "zeroeval", 2119, 3),
    ],
)
def test_the_published_files(file: str, layout: str, rows: int, models: int) -> None:
    names = ["Meta-Llama-3.1-8B-Instruct", "Qwen2-72B-Instruct", "gpt-4o-2024-08-06"]
    read = read_training_table(SHARED / file, models=names if layout == "zeroeval" else ())
    assert read.layout == layout
    assert read.table.quality.shape == (rows, models)
    assert np.isfinite(read.table.output_tokens).all()
