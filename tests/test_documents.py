from __future__ import annotations

import datetime
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from boute.documents import Document, check_document, dump_yaml, load_document, parse_yaml
from boute.errors import BouteError, InputError, SpecError


class Leaf(Document):
    number: Annotated[int, Field(ge=0)] = 0
    ratio: float | None = None
    kind: Literal["one", "two"] = "one"
    flag: bool = False


class Tree(Document):
    name: str = ""
    leaf: Leaf | None = None
    leaves: list[Leaf] = Field(default_factory=list, max_length=3)
    named: dict[str, Leaf] = Field(default_factory=dict)
    coded: dict[Annotated[str, Field(pattern="^[A-Z0-9]+$")], Leaf] = Field(default_factory=dict)
    either: int | list[Leaf] | Leaf = 0
    day: datetime.date | None = None
    text: Annotated[str, Field(min_length=2, max_length=4)] = "abc"


def problem_of(folder: Path, text: str) -> str:
    """The message for a file with this text, without the name of the file."""
    path = folder / "tree.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(SpecError) as caught:
        load_document(path, Tree, error=SpecError)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < len(str(path)) + 320
    assert message.startswith(str(path))
    return message.removeprefix(f"{path}:").strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # At each depth, the line is that of the key.
        ("name: a\nleaf: 3\n", "2: leaf: should be a mapping of keys to values (it is 3)"),
        ("leaf:\n  number: -1\n", "2: leaf.number: should be at least 0 (it is -1)"),
        ("leaves:\n- number: 1\n- number: -1\n", "3: leaves[1].number: should be at least 0 "),
        ("leaves:\n- number: 1\n-\n  number:\n    -1\n", "4: leaves[1].number: should be at least"),
        ("named:\n  H100:\n    number: x\n", "3: named.H100.number: should be a whole number "),
        ("named: {a: {number: 1},\n  b: {number: -1}}", "2: named.b.number: should be at least 0"),
        (
            "named:\n  a.b:\n    kind: six\n",
            "3: named.a.b.kind: should be 'one' or 'two' (it is 's",
        ),
        # Wrong types, in words of the file.
        ("name: 3\n", "1: name: should be text (it is 3)"),
        ("name: [a]\n", "1: name: should be text"),
        ("leaf: {number: 1.5}\n", "1: leaf.number: should be a whole number (it is 1.5)"),
        ("leaf: {number: }\n", "1: leaf.number: should be a whole number (it is empty)"),
        ("leaf: {number: 2026-01-02}\n", "1: leaf.number: should be a whole number"),
        ("leaf: {ratio: high}\n", "1: leaf.ratio: should be a number (it is 'high')"),
        ("leaf: {flag: 7}\n", "1: leaf.flag: should be true or false (it is 7)"),
        ("leaves: a\n", "1: leaves: should be a list (it is 'a')"),
        ("leaves: [{}, {}, {}, {}]\n", "1: leaves: has 4 entries and should have at most 3"),
        ("named: [a]\n", "1: named: should be a mapping of keys to values"),
        ("named:\n", "1: named: should be a mapping of keys to values (it is empty)"),
        ("coded: {a b: {}}\n", "1: coded.a b: should be a name of letters, digits, '.', '-' and "),
        ("coded: {405: {}}\n", "1: coded.405: should be text (it is 405)"),
        ("text: a\n", "1: text: should have at least 2 characters (it is 'a')"),
        ("text: abcde\n", "1: text: should have at most 4 characters (it is 'abcde')"),
        # Yes is true in YAML, and true is 1 in Python.
        ("leaf: {number: yes}\n", "1: leaf.number: should not be true or false (it is True)"),
        ("leaf: {ratio: off}\n", "1: leaf.ratio: should not be true or false (it is False)"),
        # What pydantic says of the members of a union is not in the file.
        ("either: {number: -1}\n", "1: either"),
        ("either: [{number: -1}]\n", "1: either"),
        ("either: x\n", "1: either: should be a whole number (it is 'x')"),
        # NaN and infinity, however written.
        ("leaf: {ratio: .nan}\n", "1: leaf.ratio: should be a finite number (it is nan)"),
        ("leaf: {ratio: -.inf}\n", "1: leaf.ratio: should be a finite number (it is -inf)"),
        ("leaf: {ratio: nan}\n", "1: leaf.ratio: should be a finite number (it is 'nan')"),
        ("leaf: {ratio: 1e999}\n", "1: leaf.ratio: should be a finite number (it is '1e999')"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    assert problem_of(tmp_path, text).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmae: a\n", "1: unknown key nmae; did you mean name?"),
        ("name: a\nleaf: {numbr: 1}\n", "2: unknown key leaf.numbr; did you mean number?"),
        ("leaves:\n- {}\n- {numbr: 1}\n", "3: unknown key leaves[1].numbr; did you mean number?"),
        ("named: {a: {rato: 1}}\n", "1: unknown key named.a.rato; did you mean ratio?"),
        ("coded: {A: {rato: 1}}\n", "1: unknown key coded.A.rato; did you mean ratio?"),
        ("leaf: {xyz: 1}\n", "1: unknown key leaf.xyz; known keys: number, ratio, kind, flag"),
        ("leaf: {3: 1}\n", "1: leaf.3: should be text (it is 3)"),
    ],
)
def test_an_unknown_key_comes_with_the_nearest_known(
    tmp_path: Path, text: str, message: str
) -> None:
    assert problem_of(tmp_path, text) == message


class Strict(Document):
    models: list[str]
    leaf: Leaf


def test_a_misspelt_required_key_is_told_as_such() -> None:
    with pytest.raises(InputError, match=r"^f: unknown key modles; did you mean models\?$"):
        check_document({"modles": [], "leaf": {}}, Strict, where="f")
    with pytest.raises(InputError, match=r"^f: leaf is missing; add it$"):
        check_document({"models": []}, Strict, where="f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b\n", "2: name is given twice; keep one of them"),
        ("leaves:\n- number: 1\n  number: 2\n", "3: leaves[0].number is given twice; keep one of"),
        ("leaf: {number: 1,\n number: 1}", "2: leaf.number is given twice"),
        ("named: {1: {}, 1: {}}", "1: named.1 is given twice"),
        ("? [a, b]\n: 1\n", "1: a key should be text"),
        ("? {a: b}\n: 1\n", "1: "),
        ("~: 1\n", "1: a key should be text"),
    ],
)
def test_keys_are_text_and_given_once(tmp_path: Path, text: str, message: str) -> None:
    assert problem_of(tmp_path, text).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; was it cut short?"),
        ("# nothing\n\n", "is empty; was it cut short?"),
        ("- name\n", "should be a mapping of keys to values"),
        ("name\n", "should be a mapping of keys to values"),
        ("name: 'a\nleaf: {number: 1}\n", "3: is not valid YAML: found unexpected end of stream; "),
        ("name: a\nleaf: {number: 1", "2: is not valid YAML: expected ',' or '}', but got '<stre"),
        ("name: [a\nleaf: 1\n", "2: is not valid YAML: expected ',' or ']', but got ':'"),
        (
            "name: a\n\tleaf: 1\n",
            "2: is not valid YAML: found character '\\t' that cannot start an",
        ),
        ("name: a\n---\nname: b\n", "2: is not valid YAML: expected a single document in the stre"),
        ("name: a\nx: '\0'\n", "2: is not valid YAML: special characters are not allowed"),
        ("leaf: " + "[" * 5000, "is not valid YAML: it is nested too deeply"),
        ("leaf: " + "{a: " * 5000, "is not valid YAML: it is nested too deeply"),
        ("day: 2026-02-30\n", "1: is not valid YAML: day is out of range for month"),
        # Numbers that YAML 1.1 reads as something else than they say.
        ("leaf: {number: 010}\n", "1: is not valid YAML: '010' is not a plain number"),
        ("leaf: {ratio: 1:30}\n", "1: is not valid YAML: '1:30' is not a plain number"),
        ("leaf: {ratio: 1:30.5}\n", "1: is not valid YAML: '1:30.5' is not a plain number"),
        ("name: a\nleaf: {number: " + "9" * 5000 + "}\n", "2: is not valid YAML: '999"),
        ("leaf: {number: 0x" + "f" * 5000 + "}\n", "1: is not valid YAML: '0xfff"),
    ],
)
def test_what_is_not_yaml_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    assert problem_of(tmp_path, text).startswith(message)


@pytest.mark.parametrize(
    "tagged",
    [
        "!!python/object/apply:os.system ['touch owned']",
        "!!python/name:os.system",
        "!!python/tuple [a]",
        "!!bool maybe",
        "!!timestamp never",
        "!!set {a}",
        "!!int ''",
        "!mine a",
    ],
)
def test_tags_are_refused(tmp_path: Path, tagged: str) -> None:
    assert problem_of(tmp_path, f"a: 1\nname: {tagged}\n") == (
        "2: is not valid YAML: tags are not supported"
    )
    assert problem_of(tmp_path, f"? {tagged}\n: 1\n").startswith("1: is not valid YAML: tags")


def test_aliases_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    laughs = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    laughs += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    message = "is not valid YAML: aliases are not supported"
    assert problem_of(tmp_path, "\n".join(laughs)) == f"2: {message}"
    assert problem_of(tmp_path, "leaf: &a\n  number: *a\n") == f"2: {message}"
    assert problem_of(tmp_path, "a: &a {}\nleaf:\n  <<: *a\n") == f"3: {message}"


def test_long_keys_and_values_are_cut(tmp_path: Path) -> None:
    for text in (f"leaf: {'z' * 100_000}", f"{'z' * 900}: 1", f"named: {{{'z' * 900}: 1}}"):
        assert "zzz" in problem_of(tmp_path, text)


@pytest.mark.parametrize("text", ['"a\\nb": 1', '"\\e[31m": 1', '"\\ud800": 1', "é\u200b: 1"])
def test_keys_that_a_terminal_should_not_see_are_masked(tmp_path: Path, text: str) -> None:
    assert problem_of(tmp_path, text).isprintable()


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e3", 1000.0), ("1.5e-3", 0.0015), ("0", 0.0), ("1_000", 1000.0), ("-.5", -0.5)],
)
def test_usual_ways_to_write_a_number(written: str, value: float) -> None:
    data, _ = parse_yaml(f"ratio: {written}", where="f")
    assert check_document(data, Leaf, where="f").ratio == value


def test_lines_are_those_of_keys_and_items() -> None:
    text = "# c\na: 1\nb:\n  - x\n  - c: 2\n    d:\n      [3,\n       4]\n"
    data, lines = parse_yaml(text, where="f")
    assert data == {"a": 1, "b": ["x", {"c": 2, "d": [3, 4]}]}
    assert lines == {
        (): 2,
        ("a",): 2,
        ("b",): 3,
        ("b", 0): 4,
        ("b", 1): 5,
        ("b", 1, "c"): 5,
        ("b", 1, "d"): 6,
        ("b", 1, "d", 0): 7,
        ("b", 1, "d", 1): 8,
    }


def test_a_missing_file_is_the_error_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        load_document(tmp_path / "none.yaml", Tree, error=SpecError)


def test_documents_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Leaf().number = 1  # type: ignore[misc]


# PyYAML writes three rare ends of line without escaping them.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029"))
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False)
    | st.dates()
    | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(words, plain, min_size=1, max_size=4))
def test_what_is_written_is_read_back(data: dict[str, Any]) -> None:
    text = dump_yaml(data)
    assert dump_yaml(data) == text
    assert parse_yaml(text, where="f")[0] == data


def test_an_object_that_occurs_twice_is_written_twice() -> None:
    day, items = datetime.date(2026, 1, 2), [1]
    data = {"a": day, "b": day, "c": items, "d": items}
    assert parse_yaml(dump_yaml(data), where="f")[0] == data


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_to_the_last_bit(value: float) -> None:
    back = parse_yaml(dump_yaml({"ratio": value}), where="f")[0]["ratio"]
    assert math.copysign(1.0, back) == math.copysign(1.0, value)
    assert back == value


@given(st.text(max_size=200) | st.from_regex(r"[a-c&*!?:{}\[\],\-#'\"|>% \n\t0-9.]{0,60}"))
def test_any_text_is_data_or_one_clear_error(text: str) -> None:
    try:
        data, _ = parse_yaml(text, where="f")
        check_document(data, Tree, where="f")
        message = "f: fits"
    except BouteError as error:
        message = str(error)
    assert message.startswith("f:")
    assert message.isprintable()


@given(st.dictionaries(st.sampled_from(sorted(Tree.model_fields)), plain, max_size=4))
def test_any_data_is_a_document_or_one_clear_error(data: dict[str, Any]) -> None:
    text = dump_yaml(data)
    read, lines = parse_yaml(text, where="f")
    try:
        check_document(read, Tree, where="f", lines=lines)
        message = "f:1: name: fits"
    except InputError as error:
        message = str(error)
    line, key = message.removeprefix("f:").split(": ")[:2]
    assert 1 <= int(line) <= len(text.split("\n"))
    assert re.split(r"[.\[]", key.removeprefix("unknown key "))[0] in Tree.model_fields
