"""Columns of a sheet as numbers, texts and keys; what is wrong names its place."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boute.errors import DataError
from boute.routing.sheet import Sheet, read_sheet


@pytest.fixture
def sheet(tmp_path: Path) -> Callable[[str], Sheet]:
    def make(text: str) -> Sheet:
        (tmp_path / "a.csv").write_text(text)
        return read_sheet(tmp_path / "a.csv")

    return make


def test_numbers_are_parsed_and_missing_ones_are_nan(sheet: Callable[[str], Sheet]) -> None:
    made = sheet("x,y\n1,True\n,false\n2.5e1,0\n")
    np.testing.assert_array_equal(made.numbers("x", range(3)), [1.0, np.nan, 25.0])
    assert made.numbers("y", [0, 1, 2]).tolist() == [1, 0, 0]
    assert made.finite("x", np.array([0, 2])).tolist() == [1, 25]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda made: made.numbers("x", range(3)), "a.csv:3: x: should be a number (it is 'two')"),
        (lambda made: made.finite("y", np.arange(3)), "a.csv:4: y: should be a finite number"),
        (lambda made: made.texts("z", range(3)), "a.csv:3: z: has no text; fill it in"),
        (lambda made: made.by_key(["k"]), "a.csv:4: k: 7 is also on line 2"),
        (lambda made: made.require(["Z", "zz"], "the text"), "has no column Z or zz (the text); "),
    ],
)
def test_what_is_wrong_names_its_place(
    sheet: Callable[[str], Sheet], ask: Callable[[Sheet], object], message: str
) -> None:
    made = sheet('k,x,y,z\n7,1,1,a\n8,two,2," "\n7,3,inf,c\n')
    with pytest.raises(DataError) as caught:
        ask(made)
    assert message in str(caught.value)


def test_keys_are_text(sheet: Callable[[str], Sheet]) -> None:
    made = sheet("k,l\n007,a\n7,a\n")
    assert made.by_key(["k", "l"]) == {("007", "a"): 0, ("7", "a"): 1}
    assert made.require(["m", "l"], "something") == "l"


def test_parquet_with_missing_values(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": pd.array([1, None, 3], dtype="Int64"), "b": [True, False, True]})
    frame.to_parquet(tmp_path / "a.parquet")
    made = read_sheet(tmp_path / "a.parquet")
    assert made.numbers("x", [0, 2]).tolist() == [1, 3]
    assert made.numbers("b", range(3)).tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"a\.parquet: row 2: x: should be a finite number"):
        made.finite("x", np.arange(3))
